/* Static data that comes and goes: dlopen_test.c loads and unloads it. */
void *module_data[1 << 19];
