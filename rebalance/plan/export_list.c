/* list: one path a line, in the order of keep.npy. */
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/plan/export_internal.h"

int ek_export_list_begin(struct ek_export *x)
{
	int rc;

	EK_TRY(ek_buffer_printf(&x->path, "%s/paths.txt", x->folder.partial));
	EK_TRY(ek_atomic_open(&x->list, x->path.data));
out:
	return rc;
}

int ek_export_list_put(struct ek_export *x)
{
	int rc;

	if (!x->options->null_separated && strchr(x->source, '\n') != NULL)
		return ek_fail(EK_EUSAGE, "%s: the name has a newline, which ends a line of a list; use 'null'",
		               x->source);
	EK_TRY(ek_atomic_write(&x->list, x->source, strlen(x->source)));
	EK_TRY(ek_atomic_write(&x->list, x->options->null_separated ? "" : "\n", 1));
out:
	return rc;
}

int ek_export_list_end(struct ek_export *x)
{
	return ek_atomic_commit(&x->list);
}
