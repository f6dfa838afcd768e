#include "rebalance/io/archive.h"

#include "rebalance/base/error.h"
#include "rebalance/base/library.h"

struct ek_archive ek_archive;

int ek_archive_load(void)
{
#define EK_ARCHIVE_ROW(name, function) { #function, &ek_archive.name },
	static const struct ek_library_function functions[] = { EK_ARCHIVE_FUNCTIONS(EK_ARCHIVE_ROW) };

	if (ek_library_load(EK_ARCHIVE_LIBRARY, functions, sizeof functions / sizeof *functions) < 0)
		return ek_fail(EK_ENOTSUP, "tars and compressed files need the library %s, which is not there",
		               EK_ARCHIVE_LIBRARY);
	return 0;
}
