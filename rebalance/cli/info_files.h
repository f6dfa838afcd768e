/* What every file and folder that the program writes is, for `evenkeel info`: one table. */
#ifndef EK_CLI_INFO_FILES_H
#define EK_CLI_INFO_FILES_H

enum ek_info_place { EK_INFO_RUN, EK_INFO_EXPORT };

struct ek_info_file {
	enum ek_info_place place;
	const char *pattern;  /* of the path in it, as fnmatch with FNM_PATHNAME; "": the place itself */
	const char *text;     /* what it is */
	const char *document; /* JSON whose plain members tell more: "" itself, "a.json" beside it or in it, "*": as it,
	                         but .json; or NULL */
	const char *step;     /* that wrote it, "%s" for the folder's name; NULL: look for the file in run.json */
};

/* NULL: nothing of this name is known. */
const struct ek_info_file *ek_info_find(enum ek_info_place place, const char *path);

#endif
