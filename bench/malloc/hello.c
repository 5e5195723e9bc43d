// A program that only prints hello, in a binary of its own: its peak resident memory is what an
// allocator costs before it has done anything. Who has it: every small command that a shell script
// calls.
#include <stdio.h>

int main(void)
{
    return puts("hello") < 0;
}
