/*
 * The step `groups` of groups that words describe (words.h), in CLIP's embeddings of the run, or in a user's own that
 * CLIP made. With labels of some images too, by the same names, the temperature is calibrated by them, they stand, and
 * shares have intervals where they were drawn at random.
 */
#ifndef EK_PIPELINE_WORD_GROUPS_H
#define EK_PIPELINE_WORD_GROUPS_H

#include "analysis/cluster/rows.h"
#include "rebalance/io/images.h"
#include "rebalance/io/run.h"

struct ek_word_groups {
	const char *words;   /* group_words.h */
	const char *weights; /* with CLIP's text tower */
	const char *labels;  /* given_labels.h, or NULL */
};

/* EK_EUSAGE: an encoder that is not CLIP's. */
int ek_word_groups_check(const char *encoder);
/* The file with the text tower, `*path` to be freed: `given`, if it is not NULL, else that of the run's encoder (NULL:
 * the embeddings are the user's own), `weights` or what is found for it. EK_EUSAGE: there is none of CLIP's; EK_EDATA:
 * it is not there. */
int ek_word_groups_weights(char **path, const char *encoder, const char *weights, const char *given);

/* `membership`, `document`: where clusters/membership.npy and groups.json go. EK_EDATA: also a label that is no group.
 */
int ek_make_word_groups(const struct ek_run *run, const struct ek_word_groups *o, const struct ek_rows *all,
                        const char *membership, const char *document);

/* The likeliest of the words of each image, written to the file `path` too, to name what is found: a column as
 * ek_groups_words_load (io/groups.h) gives it, and to be released as that. */
int ek_make_word_names(struct ek_column *out, const struct ek_word_groups *o, const struct ek_rows *all,
                       const char *path);

#endif
