#include "hard/fault.h"
void fault_start(void){}
