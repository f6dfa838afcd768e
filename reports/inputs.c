#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/run_files.h"
#include "reports/report.h"

static const char *const fixed[] = { "audit.json",
	                             "images.jsonl",
	                             "rejected.jsonl",
	                             "embeddings.json",
	                             "clusters/assignment.npy",
	                             "clusters/distance.npy",
	                             "clusters/clusters.json",
	                             "clusters/map.json",
	                             "clusters/stability.json",
	                             "clusters/duplicates.json",
	                             "clusters/membership.npy",
	                             "clusters/groups.json",
	                             "components/leverage.npy" };
enum { FIXED = sizeof fixed / sizeof *fixed };

static const char *const patterns[] = { "subsets/*/subset.json",
	                                "subsets/*/decision.npy",
	                                "weights/*/weights.json",
	                                "weights/*/groups.csv",
	                                "models/*/config.json",
	                                "models/*/log.jsonl",
	                                "samples/*/config.json",
	                                "samples/*/samples.jsonl",
	                                "samples/*/assignment.npy",
	                                "evaluations/*.json",
	                                "reviews/*.jsonl",
	                                "label-reviews/*.jsonl",
	                                "scores/*.json",
	                                "scores/*.npy",
	                                "scores/*.csv" };
enum { PATTERNS = sizeof patterns / sizeof *patterns };

/* Names, each with its NUL. */
struct names {
	struct ek_buffer text;
	size_t count;
};

static int add(struct names *names, const char *name)
{
	const int rc = ek_buffer_append(&names->text, name, strlen(name) + 1);

	names->count += rc >= 0;
	return rc;
}

static int add_found(struct names *names, const struct ek_run *run, const char *pattern)
{
	const size_t root = strlen(ek_run_path(run)) + 1;
	glob_t found = { 0 };
	int rc;

	EK_TRY(ek_run_glob(&found, run, pattern));
	for (size_t i = 0; i < found.gl_pathc; i++)
		EK_TRY(add(names, found.gl_pathv[i] + root));
out:
	globfree(&found);
	return rc;
}

/* Is it one of the folders that the patterns look into? */
static int is_found(const char *name)
{
	for (size_t i = 0; i < PATTERNS; i++)
		if (strncmp(name, patterns[i], strcspn(patterns[i], "*")) == 0)
			return 1;
	return 0;
}

/* Those that the report of before told of and that are gone. */
static int add_gone(struct names *names, const struct ek_run *run)
{
	const cJSON *inputs = ek_json_member(ek_run_recorded(run, "report"), "inputs"), *item;
	int rc = 0;

	cJSON_ArrayForEach(item, ek_json_object(inputs))
	{
		if (!is_found(item->string))
			continue;
		if (!ek_run_has(run, item->string))
			EK_TRY(add(names, item->string));
	}
out:
	return rc;
}

int ek_report_inputs(const char ***inputs, const struct ek_run *run)
{
	struct names names = { 0 };
	char *text;
	int rc;

	*inputs = NULL;
	for (size_t i = 0; i < FIXED; i++)
		EK_TRY(add(&names, fixed[i]));
	for (size_t i = 0; i < PATTERNS; i++)
		EK_TRY(add_found(&names, run, patterns[i]));
	EK_TRY(add_gone(&names, run));
	EK_TRY(ek_alloc(inputs, (names.count + 1) * sizeof **inputs + names.text.size, 1));
	text = (char *)(*inputs + names.count + 1);
	memcpy(text, names.text.data, names.text.size);
	for (size_t i = 0; i < names.count; i++, text += strlen(text) + 1)
		(*inputs)[i] = text;
out:
	ek_buffer_release(&names.text);
	return rc;
}
