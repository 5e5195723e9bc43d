/* Lists for option plug, written as the command writes them, for tests of who reads them. */
#ifndef PLUG_LIST_H
#define PLUG_LIST_H

#include <freehold/freehold.h>
#include <freehold/plug.h>

/* Starts the library of this test program with the option; to be called before it allocates by fh_malloc. */
struct fh_plug_box *plug_test_start(void);

/* What a look says of a block, as it is now. */
struct fh_plug_entry plug_entry_of(const void *p);

/* Puts the entries into the box. `head` is completed: sequence, image, version and count, unless they are set. */
void plug_list_put(struct fh_plug_box *box, struct fh_plug_head head,
                   const struct fh_plug_entry *entries, uint64_t count);

/* Lets a thread come by until the list is done with, for a second at most. */
void plug_list_work(struct fh_plug_box *box);

#endif
