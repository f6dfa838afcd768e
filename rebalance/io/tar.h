/*
 * Tar files in one pass from front to end (libarchive): ustar, pax, GNU long names and base-256 sizes, plain or
 * compressed (gzip, zstd, bzip2, xz). Nothing is ever extracted: a member's name is data, whatever it says.
 *
 * Archives written one behind the other (cat a.tar b.tar) are read as one. A tar or a compressed stream that is damaged
 * or cut short gives the members before the damage, then ends with an ek_warn; where only a header is damaged, the
 * members behind it, too. One with no readable member at all is EK_EDATA. Where the file cannot be read though it may
 * be whole, that is EK_EIO.
 */
#ifndef EK_IO_TAR_H
#define EK_IO_TAR_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/memory.h"

struct ek_tar;

struct ek_tar_member {
	const char *name;   /* the bytes in the tar; valid until the next member */
	uint64_t size;      /* bytes */
	uint64_t offset;    /* of its first byte in the uncompressed stream */
	int is_file;        /* 0: a directory, link or device, which has no bytes of its own */
	int is_link;        /* a symbolic or hard link */
	const char *target; /* of a hard link: the member whose bytes it has; else NULL */
	int is_sparse;      /* its bytes do not lie in the stream as they are */
};

/* EK_EIO, EK_EDATA (also for a file that is not regular). */
int ek_tar_open(struct ek_tar **out, const char *path);
/* 1 and a member, 0 at the end. */
int ek_tar_next(struct ek_tar *tar, struct ek_tar_member *member);
/* Append up to `size` more bytes of this member to `out`. Less arrives only at the member's end or where the tar is
 * damaged: ek_tar_next says so then. */
int ek_tar_read(struct ek_tar *tar, struct ek_buffer *out, size_t size);
/* Was the tar found damaged or cut short? */
int ek_tar_is_damaged(const struct ek_tar *tar);
/* It is not told if it is: another reads it, too. */
void ek_tar_be_quiet(struct ek_tar *tar);
void ek_tar_close(struct ek_tar *tar);

#endif
