/* make_subset RUN NAME ID...: RUN/subsets/NAME/keep.npy with these ids, for tests of what reads subsets. */
#include <stdio.h>
#include <stdlib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/io/npy.h"

int main(int argc, char **argv)
{
	const uint64_t count = argc > 3 ? (uint64_t)argc - 3 : 0;
	int64_t *ids = NULL;
	char path[4096];
	int rc;

	if (count == 0)
		return 2;
	EK_TRY(ek_alloc(&ids, count, sizeof *ids));
	for (uint64_t i = 0; i < count; i++)
		ids[i] = strtoll(argv[i + 3], NULL, 10);
	(void)snprintf(path, sizeof path, "%s/subsets/%s", argv[1], argv[2]);
	EK_TRY(ek_make_directories(path));
	(void)snprintf(path, sizeof path, "%s/subsets/%s/keep.npy", argv[1], argv[2]);
	EK_TRY(ek_npy_write(path, EK_I64, 1, &count, ids));
out:
	free(ids);
	if (rc < 0)
		(void)fprintf(stderr, "make_subset: %s\n", ek_error_message());
	return rc < 0;
}
