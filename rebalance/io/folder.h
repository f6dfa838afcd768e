/*
 * A folder of results, as RUN/subsets/NAME or RUN/samples/NAME: its files are written into one beside it,
 * RUN/subsets/.NAME.new, that takes its place when all are there, so a reader sees the old files or the new ones. What
 * a killed command left in the folder beside goes when the same name is written again.
 *
 * What is removed is what we made, by its name: `ours` is a list, ended by NULL, of the names in such a folder, as in a
 * shell ("config.json", "images/[0-9]*.png"; a "*" does not reach into another folder, and folders are literal), each
 * also with ".tmp" behind it. The first of them goes first: without it nobody goes on with what a stopped removal left.
 * A folder that holds anything else is not replaced, EK_EUSAGE naming what that is.
 */
#ifndef EK_IO_FOLDER_H
#define EK_IO_FOLDER_H

struct ek_folder {
	char *path, *fresh; /* owned; `fresh` is where to write */
	const char *const *ours;
};

/* Of RUN/KIND/NAME, `path`: work out `fresh`, make RUN/KIND, and see that `path` may be replaced, or is not there. What
 * lies in `fresh` stays. EK_EUSAGE, EK_EIO, EK_ENOMEM. `ours` stays the caller's. Release in any case. */
int ek_folder_open(struct ek_folder *folder, const char *path, const char *const *ours);
/* Make `fresh`, empty. EK_EUSAGE: something in it is not ours. EK_EIO. */
int ek_folder_clear(struct ek_folder *folder);
/* Remove `fresh`; if it is not there, that is fine. EK_EUSAGE, EK_EIO. */
int ek_folder_drop(struct ek_folder *folder);
/* Put it in its place, and remove what was there. EK_EUSAGE, EK_EIO. */
int ek_folder_publish(struct ek_folder *folder);
/* `rc`: what came of it. After a failure `fresh` goes, and `rc` is returned, with its message. */
int ek_folder_release(struct ek_folder *folder, int rc);
/* As ek_folder_release, but `fresh` stays, for a command that goes on where it was. */
void ek_folder_keep(struct ek_folder *folder);

/* See that a folder, if it is there, holds only what `is_ours` says that we made; `name` is the way from `path`.
 * EK_EUSAGE names the first other thing. EK_EIO. */
int ek_folder_check(const char *path, int (*is_ours)(const void *context, const char *name, int is_folder),
                    const void *context);

#endif
