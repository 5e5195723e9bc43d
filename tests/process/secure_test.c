/* Says which value an option of the environment got; run by secure.sh as a setuid program too. */
#include <stdio.h>
#include <sys/auxv.h>

#include <freehold/freehold.h>

int main(void)
{
    char text[32];
    fh_free(fh_malloc(1));
    if (fh_option_get("purge_delay", text, sizeof text) != 0) return 1;
    printf("secure %lu purge_delay %s\n", getauxval(AT_SECURE), text);
    return 0;
}
