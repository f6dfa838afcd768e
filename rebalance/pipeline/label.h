/*
 * People say which group images belong to, on a page of this machine (reports/label_page.h): what they said, the images
 * to show, and which of them to ask about next (analysis/cluster/teach.h).
 */
#ifndef EK_PIPELINE_LABEL_H
#define EK_PIPELINE_LABEL_H

#include "rebalance/base/json.h"
#include "rebalance/pipeline/serve.h"
#include "reports/label_page.h"

struct ek_do_label_options {
	const char *name;   /* of RUN/labels/NAME.jsonl */
	const char *person; /* who labels; NULL: the page asks */
	const char *groups; /* names of groups to begin with, "cat,dog", or NULL; needs a person */
	const char *export; /* a CSV to write of all images with a group: file_name,label,random; or NULL */
	int64_t port;       /* 0: any that is free */
	int summary;        /* 1, or `export`: no page, what was said is only read */
};
#define EK_DO_LABEL_DEFAULT                                                                                            \
	{                                                                                                              \
		.name = "groups"                                                                                       \
	}

struct ek_labelled {
	struct ek_label_log log; /* without a page: what was said so far */
	uint64_t exported;       /* images */
};

/*
 * Read what was said so far, whoever has the file, or serve the page until the process is asked to end. The run is open
 * for reading. Release in any case. EK_EUSAGE: no such labels, or, exported, no image with a group; for the page: no
 * embeddings or clusters, a run without images, another process has the file, no name of a group or a person.
 */
int ek_do_label(struct ek_labelled *out, struct ek_run *run, const struct ek_do_label_options *options,
                ek_page_announce announce, void *context);
/* What was said as a document (docs/files.md); cJSON_Delete it. EK_ENOMEM. */
int ek_labelled_json(cJSON **out, const struct ek_labelled *labelled);
void ek_labelled_release(struct ek_labelled *labelled);

#endif
