/* clip_merges.bin, in the program: of each merge, in the order in which they are tried, the two tokens that it joins,
 * uint16, little-endian. The token it makes is 512 + its number. */
#ifndef EK_EMBED_CLIP_MERGES_H
#define EK_EMBED_CLIP_MERGES_H

#include <stddef.h>

extern const unsigned char ek_clip_merges[];
extern const size_t ek_clip_merges_size;

#endif
