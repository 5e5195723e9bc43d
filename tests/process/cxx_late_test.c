/* A C program that loads a plugin in C++, and with it the C++ runtime, where no other library sees it.
 * What could break: the library, which was there before, must find that runtime when memory is out. */
#include <dlfcn.h>
#include <stdio.h>

#include "kit/expect.h"

int main(int argc, char **argv)
{
    EXPECT(argc == 2, "a plugin");
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    EXPECT(plugin != NULL, "%s", dlerror());
    int (*run_out)(void);
    *(void **)&run_out = dlsym(plugin, "plugin_run_out");
    EXPECT(run_out != NULL, "%s", dlerror());
    EXPECT(run_out() == 1, "no bad_alloc");
    puts("bad_alloc came");
    return 0;
}
