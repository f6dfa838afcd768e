/*
 * A file that describes groups in words, one a line:
 *
 *     dog: a photo of a dog; a dog in the snow
 *     cat
 *     none of these
 *
 * A name, then perhaps a colon and prompts with semicolons between; {} in a prompt stands for the name. A name alone
 * has the prompts of EK_GROUP_WORDS_PROMPTS. "none of these" allows that an image is of no group; alone, it has prompts
 * that name nothing. Empty lines, and lines that begin with #, are passed over. UTF-8.
 */
#ifndef EK_PIPELINE_GROUP_WORDS_H
#define EK_PIPELINE_GROUP_WORDS_H

#include <stddef.h>
#include <stdint.h>

#define EK_GROUP_WORDS_PROMPTS "a photo of a {}.; a picture of a {}.; an image of a {}."
#define EK_GROUP_WORDS_NONE "none of these"
#define EK_GROUP_WORDS_NONE_PROMPTS "a photo.; a picture.; an image."

enum { EK_GROUP_WORDS_MOST = 256, EK_GROUP_WORDS_NAME_MAX = 64, EK_GROUP_WORDS_LINE_MAX = 4096 };

struct ek_group_words {
	uint32_t groups; /* with a name of their own */
	int none;        /* 1: behind them is one more row, EK_GROUP_WORDS_NONE */
	struct ek_group_word {
		char *name;
		char **prompts; /* [count] */
		size_t count;
		uint64_t line; /* of the file */
	} * rows;              /* [groups + none] in the order of the file, owned */
	size_t prompts;        /* of all rows */
};

/* EK_EIO; EK_EDATA, naming the line: no UTF-8, a control character, a line, a name or a list that is too long, no name,
 * a name twice, fewer than two rows. Release in any case. */
int ek_group_words_load(struct ek_group_words *out, const char *path);
void ek_group_words_release(struct ek_group_words *w);

#endif
