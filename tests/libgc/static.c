/* A program in which no library can be exchanged. */
int main(void)
{
    return 0;
}
