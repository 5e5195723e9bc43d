/* hardened: what this library's faces share. */
#ifndef FACE_HARDENED_HARDENED_H
#define FACE_HARDENED_HARDENED_H

#include "face/face.h"

/* To be called as memory is taken: `freehold run` wants to know the peak. */
void hardened_tick(void);

#endif
