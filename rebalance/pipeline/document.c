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
