/* The form of a file, in words: "a NumPy array, float32 [300, 768]". */
#ifndef EK_PIPELINE_ABOUT_FORMAT_H
#define EK_PIPELINE_ABOUT_FORMAT_H

#include "rebalance/base/memory.h"

/* Appends nothing if the ending of the name says nothing. EK_EDATA: it is not what its name says; EK_EIO, EK_ENOMEM. */
int ek_about_format(struct ek_buffer *text, const char *path);

#endif
