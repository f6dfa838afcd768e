#include "rebalance/pipeline/outside_images.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"

/* The embeddings are of other images than the list has now. */
static int is_of_others(const struct ek_run *run)
{
	const cJSON *listed = ek_json_member(ek_json_member(ek_run_recorded(run, "scan"), "counts"), "contents");
	const cJSON *embedded = ek_json_member(
		ek_json_member(ek_json_member(ek_run_recorded(run, "embed"), "options"), "images"), "contents");

	return cJSON_IsString(listed) && cJSON_IsString(embedded) &&
	       strcmp(listed->valuestring, embedded->valuestring) != 0;
}

int ek_outside_check_images(struct ek_run *run, struct ek_steps_options *options)
{
	const char *reason;
	char *why = NULL;
	int current, rc;

	EK_TRY(ek_steps_scan_is_current(&current, &reason, run, options));
	if (!current) {
		EK_TRY(ek_copy_string(&why, reason));
		EK_TRY(ek_run_set_stale(run, "scan", why));
	}
	if (!current && ek_json_member(ek_json_member(ek_run_recorded(run, "embed"), "options"), "images") != NULL)
		EK_TRY(ek_run_set_stale(run, "embed", why));
	else if (is_of_others(run))
		EK_TRY(ek_run_set_stale(run, "embed", "images changed"));
out:
	free(why);
	return rc;
}
