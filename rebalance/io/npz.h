/*
 * NumPy's .npz files: a zip file with one .npy file per array, named NAME.npy. Stored arrays are used in place, from
 * the map, so that one of many gigabytes can be read piece by piece; deflated ones (np.savez_compressed) are inflated
 * to memory, and only then is a checksum compared. Arrays as npy.h has them: numbers, at most 4 dimensions.
 */
#ifndef EK_IO_NPZ_H
#define EK_IO_NPZ_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/io/npy.h"
#include "rebalance/io/zip.h"

struct ek_npz {
	struct ek_map map;
	struct ek_zip zip;
	char *path;
	uint8_t **inflated; /* [zip.count] NULL: stored, or not asked for yet */
};

/* Map a file and read its directory. EK_EIO, EK_EDATA. */
int ek_npz_open(struct ek_npz *npz, const char *path);
void ek_npz_close(struct ek_npz *npz);
/* Work out the rest from its map (used by ek_npz_open). `path` starts messages. EK_EDATA. */
int ek_npz_parse(struct ek_npz *npz, const char *path);

/* 1 if there is an array of this name, else 0. */
int ek_npz_has(const struct ek_npz *npz, const char *name);
/* The array of this name. It belongs to `npz`, which must outlive it: do not close it. Its elements may lie unaligned;
 * ek_npy_forget works. Not to be called by two threads at once. EK_EDATA: there is none, damaged. */
int ek_npz_array(struct ek_npy *out, struct ek_npz *npz, const char *name);

struct ek_npz_member {
	const char *name; /* ASCII */
	enum ek_dtype type;
	int dimensions;
	uint64_t shape[EK_NPY_MAX_DIMENSIONS];
	const void *data; /* C order */
};
/* Write arrays atomically, stored. The file has the bytes that np.savez writes. EK_EUSAGE, EK_EIO. */
int ek_npz_write(const char *path, const struct ek_npz_member *members, size_t count);

#endif
