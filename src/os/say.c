/* See os/say.h. The same over os/linux and os/fake, which differ in os_write. */
#include "os/say.h"

#include "base/format.h"
#include "os/os.h"

void os_say(const char *who, const char *what)
{
    char line[400];
    struct text t = {line, 0, sizeof line - 1};
    text_str(&t, who);
    text_str(&t, ": ");
    text_str(&t, what);
    line[t.length++] = '\n';
    os_write(2, line, t.length);
}
