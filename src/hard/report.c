#include "hard/report.h"
#include "base/format.h"
#include "os/os.h"
struct report_config report_config;
#define W(name, word) word,
const char *const report_words[HARD_WHATS] = {HARD_FAULTS(W)};
void hard_report(const struct hard_fault *fault)
{
    char line[200]; struct text t = TEXT(line);
    text_str(&t, "STUB ");text_str(&t, report_words[fault->what]); text_char(&t,' '); text_str(&t, fault->call?fault->call:"?"); text_char(&t,' '); text_hex(&t,(uintptr_t)fault->address); text_char(&t,'\n');
    os_write(2, line, t.length);
    if (!report_config.go_on) base_abort();
}
bool report_start(const char *path){(void)path;return true;}
void report_fork_child(void){}
