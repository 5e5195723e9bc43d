/* A module whose data keeps a pointer. */
void *reuse_module_place = (void *)1;
