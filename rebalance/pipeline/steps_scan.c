/* The step scan: which images there are, and what lies beside them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/memory.h"
#include "rebalance/io/filename.h"
#include "rebalance/pipeline/steps_internal.h"

const char ek_scan_where[] = "run.json, step scan";

/* The data sets that the scan was made from. */
static int recall_datasets(struct ek_prepared *p, const cJSON *options)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(options, "dataset"), *item;
	const int count = cJSON_GetArraySize(list);
	size_t i = 0;
	int rc;

	EK_TRY(ek_alloc(&p->datasets, (size_t)count + 1, sizeof *p->datasets));
	cJSON_ArrayForEach(item, list) EK_TRY(ek_filename_get(&p->datasets[i++], item, "path", ek_scan_where));
	p->scan.datasets = (const char *const *)p->datasets;
	p->scan.dataset_count = i;
out:
	return rc;
}

static int is_text(const cJSON *object, const char *name, const char *text)
{
	const char *found = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

	return found != NULL && strcmp(found, text) == 0;
}

/* Only headers are to be checked, but an image that the check had passed was damaged: then all are decoded, so that ids
 * stay dense. run.json remembers it, as another check than the one asked for. */
static int found_late(const struct ek_steps_options *s, const struct ek_run *run)
{
	const cJSON *scan = ek_run_recorded(run, "scan");

	return s->scan.check == EK_SCAN_HEADER &&
	       (s->scan.found_late || (is_text(cJSON_GetObjectItemCaseSensitive(scan, "asked"), "check", "header") &&
	                               is_text(cJSON_GetObjectItemCaseSensitive(scan, "options"), "check", "decode")));
}

int ek_scan_was_by_headers(const struct ek_run *run)
{
	return is_text(cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "options"), "check", "header");
}

int ek_prepare_scan(struct ek_prepared *p, struct ek_run *run)
{
	const struct ek_steps_options *s = p->asked;
	const cJSON *recorded = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "options");
	int rc;

	p->scan = (struct ek_scan_options){ .datasets = s->scan.datasets,
		                            .dataset_count = (size_t)s->scan.dataset_count,
		                            .attributes = s->scan.attributes,
		                            .key = s->scan.key,
		                            .include = s->scan.include.items,
		                            .include_count = (size_t)s->scan.include.count,
		                            .exclude = s->scan.exclude.items,
		                            .exclude_count = (size_t)s->scan.exclude.count,
		                            .max_pixels = (uint64_t)s->scan.max_pixels,
		                            .check = (enum ek_scan_check)s->scan.check,
		                            .held_out = s->scan.held_out };
	if (found_late(s, run))
		p->scan.check = EK_SCAN_DECODE;
	if (s->scan.datasets == NULL && recorded == NULL)
		return ek_fail(EK_EUSAGE, "%s has no images yet: evenkeel audit DATASET -o %s", ek_run_path(run),
		               ek_run_path(run));
	if (s->scan.datasets == NULL)
		EK_TRY(recall_datasets(p, recorded));
	rc = ek_scan_step(&p->step, &p->options, &p->scan, recorded != NULL);
out:
	return rc;
}

/* Tables that lie beside the images and could be read: one of attributes is shown as an example. */
static int tell_tables(const struct ek_run *run)
{
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts"), *item;
	struct ek_buffer names = { 0 };
	char *path = NULL, *shown = NULL;
	int rc = 0;

	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(counts, "tables"))
	{
		EK_TRY(ek_filename_get(&path, item, "path", ek_scan_where));
		EK_TRY(ek_buffer_printf(&names, "%s%s", names.size > 0 ? ", " : "", strrchr(path, '/') + 1));
		if (shown == NULL ||
		    (strstr(strrchr(shown, '/'), "attr") == NULL && strstr(strrchr(path, '/'), "attr"))) {
			free(shown);
			shown = path;
		} else {
			free(path);
		}
		path = NULL;
	}
	if (shown != NULL)
		ek_info("beside the images, not read: %s. To take attributes from one: 'attributes' %s", names.data,
		        shown);
out:
	ek_buffer_release(&names);
	free(path);
	free(shown);
	return rc;
}

static int tell_masks(const struct ek_run *run)
{
	const cJSON *counts = cJSON_GetObjectItemCaseSensitive(ek_run_recorded(run, "scan"), "counts");
	const cJSON *masks = cJSON_GetObjectItemCaseSensitive(counts, "mask_like");
	char *first = NULL, *pattern = NULL;
	uint64_t images;
	int rc = 0;

	if (masks == NULL)
		return 0;
	EK_TRY(ek_json_get_u64(&images, masks, "images", ek_scan_where));
	EK_TRY(ek_filename_get(&first, masks, "first", ek_scan_where));
	EK_TRY(ek_filename_get(&pattern, masks, "pattern", ek_scan_where));
	if (images == 1)
		ek_info("one of the images may be a mask or map of another (%s). To leave it out: 'exclude' '%s'",
		        first, pattern);
	else
		ek_info("%" PRIu64
		        " of the images may be masks or maps of others (%s, …). To leave them out: 'exclude' '%s'",
		        images, first, pattern);
out:
	free(first);
	free(pattern);
	return rc;
}

int ek_prepared_scan_is_current(int *current, const char **reason, void *prepared, struct ek_run *run,
                                const struct ek_step *step)
{
	(void)prepared;
	return ek_scan_is_current(current, reason, run, step);
}

int ek_make_scan(void *prepared, struct ek_run *run, cJSON *counts)
{
	struct ek_prepared *p = prepared;
	int rc;

	(void)counts;
	EK_TRY(ek_scan(run, &p->scan));
	EK_TRY(tell_tables(run));
	EK_TRY(tell_masks(run));
out:
	return rc;
}
