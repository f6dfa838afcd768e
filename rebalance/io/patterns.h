/*
 * Which files of a data set are meant. Left out are, without being told: what systems put beside the user's files
 * (@eaDir, __MACOSX, AppleDouble's ._NAME, .DS_Store, Thumbs.db and the like), other hidden files and folders (their
 * name begins with a dot), and what we made ourselves. Then, by pattern, what the user says.
 *
 * A pattern is one of fnmatch without flags (*, ? and [...], which match a slash and a leading dot, too), compared byte
 * by byte. Without a slash in it, it is compared with the name of the file and of each folder above it; with one, with
 * the path from the data set's folder (or the member's name in a tar), and with the path of each folder above it.
 * Slashes at either end of a pattern, and "./" before it, do not count. With an include pattern, only files that one
 * matches are taken; one that an exclude pattern matches is not.
 *
 * What is left out without being told is looked at again if an include pattern names it: if one of the pattern's parts
 * between slashes matches its name, a leading dot by a dot, and is not stars alone.
 */
#ifndef EK_IO_PATTERNS_H
#define EK_IO_PATTERNS_H

#include <stddef.h>
#include <stdint.h>

enum ek_left_out {
	EK_TAKEN,
	EK_LEFT_HIDDEN,
	EK_LEFT_SYSTEM,
	EK_LEFT_EXPORT,       /* a folder that an export made */
	EK_LEFT_RUN,          /* a run directory */
	EK_LEFT_LINK,         /* a folder that is reached by another way, too */
	EK_LEFT_MASK,         /* a mask, or another map, of an image of the same sample */
	EK_LEFT_NOT_INCLUDED, /* no include pattern matches */
	EK_LEFT_EXCLUDED,
	EK_LEFT_OUT_COUNT
};
/* "hidden", "system" …: of the member in run.json. */
const char *ek_left_out_name(enum ek_left_out reason);

struct ek_patterns {
	char **include, **exclude; /* owned */
	size_t include_count, exclude_count;
};
/* EK_EUSAGE: a pattern that is empty or not UTF-8. Release in any case. */
int ek_patterns_init(struct ek_patterns *s, const char *const *include, size_t include_count,
                     const char *const *exclude, size_t exclude_count);
void ek_patterns_release(struct ek_patterns *s);

/* Is a file or folder of this name (the last part of its path) left out without being told? EK_TAKEN, EK_LEFT_HIDDEN or
 * EK_LEFT_SYSTEM. */
enum ek_left_out ek_patterns_of_name(const struct ek_patterns *s, const char *name);
/* Does an include pattern name it? */
int ek_patterns_names(const struct ek_patterns *s, const char *name);
/* Does an exclude pattern match the path of a file or folder? 1, 0 or EK_ENOMEM. */
int ek_patterns_excludes(const struct ek_patterns *s, const char *path);
/* Is a file of this path taken, as far as patterns go? EK_TAKEN, EK_LEFT_NOT_INCLUDED, EK_LEFT_EXCLUDED or EK_ENOMEM.
 */
int ek_patterns_of_path(const struct ek_patterns *s, const char *path);
/* The same, and of each part of the path whether its name is left out. `*folder`: bytes of the path up to the end of
 * the folder whose name that is, or 0. */
int ek_patterns_of_member(const struct ek_patterns *s, const char *path, size_t *folder);

#endif
