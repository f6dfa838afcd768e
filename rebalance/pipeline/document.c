#include "rebalance/pipeline/document.h"

#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/layout.h"

enum { LARGEST = 1 << 30 };

int ek_document_load(cJSON **out, const struct ek_run *run, const char *pattern, const char *name)
{
	char *path = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_layout_path(&path, run, pattern, name));
	EK_TRY(ek_json_load(out, path));
out:
	free(path);
	return rc;
}

int ek_document_read(struct ek_buffer *out, const struct ek_run *run, const char *pattern, const char *name)
{
	char *path = NULL;
	int rc;

	EK_TRY(ek_layout_path(&path, run, pattern, name));
	EK_TRY(ek_file_read(out, path, LARGEST));
out:
	free(path);
	return rc;
}

int ek_document_cluster_names(cJSON **out, const struct ek_run *run)
{
	cJSON *audit = NULL, *clusters = NULL, *audited;
	char *path = NULL, *made = NULL;
	int rc;

	*out = NULL;
	EK_TRY(ek_layout_path(&path, run, "audit.json", NULL));
	EK_TRY(ek_layout_path(&made, run, "clusters/clusters.json", NULL));
	if (!ek_file_exists(path) || !ek_file_exists(made))
		goto out;
	EK_TRY(ek_json_load(&audit, path));
	EK_TRY(ek_json_load(&clusters, made));
	audited = cJSON_GetObjectItemCaseSensitive(audit, "clusters");
	if (cJSON_Compare(ek_json_member(audited, "sizes"), ek_json_member(clusters, "sizes"), 1))
		*out = cJSON_DetachItemFromObjectCaseSensitive(audited, "mostly");
out:
	cJSON_Delete(audit);
	cJSON_Delete(clusters);
	free(path);
	free(made);
	return rc;
}
