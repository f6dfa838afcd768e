/* Paths that a run keeps: relative to it inside, absolute elsewhere, and how earlier versions wrote them. */
#include "tests/support/support.h"

#include "rebalance/base/file.h"
#include "rebalance/io/kept_path.h"

/* The scratch folder, the working directory, with a run R that has models/ae, and a model elsewhere/ae. */
static const char *here;

static int setup(void **state)
{
	struct ek_run *run;

	here = ek_scratch();
	assert_int_equal(chdir(here), 0);
	assert_ok(ek_run_open(&run, "R", EK_RUN_CREATE));
	assert_ok(ek_make_directories("R/models/ae"));
	assert_ok(ek_make_directories("elsewhere/ae"));
	ek_write_file(ek_join(here, "R/run.json"), "{}", 2);
	ek_run_close(run);
	*state = NULL;
	return 0;
}

static void keeps(const char *run_path, const char *path, const char *want)
{
	struct ek_run *run;
	char *kept;

	assert_ok(ek_run_open(&run, run_path, EK_RUN_READ));
	assert_ok(ek_kept_path(&kept, run, path));
	assert_string_equal(kept, want);
	free(kept);
	ek_run_close(run);
}

/* want NULL: nothing */
static void finds(const char *run_path, const char *kept, const char *want)
{
	struct ek_run *run;
	char *path;

	assert_ok(ek_run_open(&run, run_path, EK_RUN_READ));
	assert_ok(ek_kept_path_find(&path, run, kept));
	if (want == NULL)
		assert_null(path);
	else
		assert_string_equal(path, want);
	free(path);
	ek_run_close(run);
}

static void keeps_what_is_inside_relative(void **state)
{
	keeps("R", "R/models/ae", "models/ae");
	keeps("R", "./R/../R/models//ae", "models/ae");
	keeps(ek_join(here, "R"), "R/models/ae", "models/ae");
	keeps("R", ek_join(here, "R/models/ae"), "models/ae");
	keeps("R/", "R/models/ae", "models/ae");
	/* A link of the run's is the run's, wherever it leads. */
	assert_int_equal(symlink("../../elsewhere/ae", "R/models/link"), 0);
	keeps("R", "R/models/link", "models/link");
}

static void keeps_what_is_elsewhere_absolute(void **state)
{
	char *absolute = realpath("elsewhere/ae", NULL);
	struct ek_run *run;
	char *kept;

	keeps("R", "elsewhere/ae", absolute);
	keeps("R", "R/../elsewhere/ae", absolute);
	free(absolute);
	assert_ok(ek_run_open(&run, "R", EK_RUN_READ));
	assert_fails(ek_kept_path(&kept, run, "R/models/none"), EK_EIO, "R/models/none");
	assert_null(kept);
	ek_run_close(run);
}

static void finds_its_own_when_moved(void **state)
{
	const char *old = ek_join(here, "R/models/ae"), *outside = ek_join(here, "elsewhere/ae");

	finds("R", "models/ae", "R/models/ae");
	finds("R", "R/models/ae", "R/models/ae"); /* as earlier versions wrote it */
	finds("R", old, old);
	finds("R", outside, outside);
	finds("R", "models/none", NULL);
	finds("R", ek_join(here, "R/models/none"), NULL);
	assert_ok(ek_make_directories("B"));
	assert_int_equal(rename("R", "B/S"), 0);
	finds("B/S", "models/ae", "B/S/models/ae");
	finds("B/S", "R/models/ae", "B/S/models/ae");
	finds("B/S", "../away/R/models/ae", "B/S/models/ae");
	finds("B/S", old, "B/S/models/ae");
	/* A folder that is no run is not taken for one that was. */
	assert_ok(ek_make_directories("R/models"));
	finds("B/S", old, NULL);
}

static void takes_its_own_when_copied(void **state)
{
	assert_ok(ek_make_directories("copy/models/ae"));
	ek_write_file(ek_join(here, "copy/run.json"), "{}", 2);
	finds("copy", "R/models/ae", "copy/models/ae");
	/* What another run has, and the user named, is not this run's of the same name. */
	finds("copy", ek_join(here, "R/models/ae"), ek_join(here, "R/models/ae"));
	assert_int_equal(rename("R", "B"), 0);
	finds("copy", ek_join(here, "R/models/ae"), "copy/models/ae");
}

EK_TEST_MAIN(cmocka_unit_test_setup(keeps_what_is_inside_relative, setup),
             cmocka_unit_test_setup(keeps_what_is_elsewhere_absolute, setup),
             cmocka_unit_test_setup(finds_its_own_when_moved, setup),
             cmocka_unit_test_setup(takes_its_own_when_copied, setup))
