#include "tests/support/support.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/io/dataset.h"
#include "rebalance/io/npz.h"
#include "rebalance/io/walk.h"

static const char jpeg_start[] = "\xff\xd8\xff\xe0 and so on";

/* folder/name, its folders made, holding `text`. */
static void put(const char *folder, const char *name, const char *text)
{
	char *path = NULL, *slash;

	assert_ok(ek_format(&path, "%s/%s", folder, name));
	slash = strrchr(path, '/');
	*slash = 0;
	assert_ok(ek_make_directories(path));
	*slash = '/';
	ek_write_file(path, text, strlen(text));
	free(path);
}

struct member {
	const char *name, *text; /* text NULL: a symbolic link */
};

static void write_tar(const char *path, const struct member *members, size_t count)
{
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();

	assert_int_equal(archive_write_set_format_gnutar(a), ARCHIVE_OK);
	assert_int_equal(archive_write_set_bytes_per_block(a, 512), ARCHIVE_OK);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	for (size_t i = 0; i < count; i++) {
		const size_t size = members[i].text != NULL ? strlen(members[i].text) : 0;

		archive_entry_clear(entry);
		archive_entry_set_pathname(entry, members[i].name);
		archive_entry_set_filetype(entry, members[i].text != NULL ? AE_IFREG : AE_IFLNK);
		if (members[i].text == NULL)
			archive_entry_set_symlink(entry, "elsewhere");
		archive_entry_set_perm(entry, 0644);
		archive_entry_set_size(entry, (la_int64_t)size);
		assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
		if (size > 0)
			assert_int_equal(archive_write_data(a, members[i].text, size), size);
	}
	archive_entry_free(entry);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
}

static int walks; /* that the last list took */

/* All items as lines "name|label|attributes|problem", as the last walk gives them, and the codes of next and finish. */
static int list_all(struct ek_buffer *out, struct ek_dataset *dataset)
{
	struct ek_dataset_item item = { 0 };
	int rc;

again:
	walks++;
	ek_buffer_clear(out);
	while ((rc = ek_dataset_next(dataset, &item)) == 1) {
		char *text = item.attributes != NULL ? cJSON_PrintUnformatted(item.attributes) : NULL;

		assert_ok(ek_buffer_printf(out, "%s|%s|%s|%s\n", item.name.data, item.has_label ? item.label.data : "-",
		                           text != NULL ? text : "-", item.problem != NULL ? item.problem : "-"));
		cJSON_free(text);
	}
	if (rc == 0 && ek_dataset_again(dataset))
		goto again;
	if (rc == 0)
		rc = ek_dataset_finish(dataset);
	ek_dataset_item_release(&item);
	return rc;
}

static int list(struct ek_buffer *out, const char *const *paths, size_t count, const char *attributes)
{
	struct ek_dataset *dataset = NULL;
	int rc;

	walks = 0;
	ek_buffer_clear(out);
	EK_TRY(ek_dataset_open(&dataset, paths, count, attributes, NULL));
	EK_TRY(list_all(out, dataset));
out:
	ek_dataset_close(dataset);
	return rc;
}

static void check_selected(const char *path, const char *const *include, size_t include_count,
                           const char *const *exclude, size_t exclude_count, const char *want)
{
	struct ek_buffer out = { 0 };
	struct ek_dataset *dataset;

	assert_ok(ek_dataset_open(&dataset, &path, 1, NULL, NULL));
	assert_ok(ek_dataset_select(dataset, include, include_count, exclude, exclude_count));
	assert_ok(list_all(&out, dataset));
	assert_string_equal(out.data != NULL ? out.data : "", want);
	ek_buffer_release(&out);
	ek_dataset_close(dataset);
}

static void check_list(const char *path, const char *attributes, const char *want)
{
	struct ek_buffer out = { 0 };

	assert_ok(list(&out, &path, 1, attributes));
	assert_string_equal(out.data != NULL ? out.data : "", want);
	ek_buffer_release(&out);
}

static void a_folder_comes_in_byte_order_with_labels_from_its_first_level(void **state)
{
	const char *root = ek_scratch();

	put(root, "b/2.jpg", jpeg_start);
	put(root, "b/10.jpg", jpeg_start);
	put(root, "a/deep/er/x.jpg", jpeg_start);
	put(root, "a b/new\nline.jpg", jpeg_start);
	put(root, "top.jpg", jpeg_start);
	put(root, "caf\xe9/\xff.jpg", jpeg_start);
	put(root, "\xc3\xa9/notes.txt", "text");
	check_list(root, NULL,
	           "a/deep/er/x.jpg|a|-|-\n"
	           "a b/new\nline.jpg|a b|-|-\n"
	           "b/10.jpg|b|-|-\n"
	           "b/2.jpg|b|-|-\n"
	           "caf\xe9/\xff.jpg|caf\xe9|-|-\n"
	           "top.jpg|-|-|-\n"
	           "\xc3\xa9/notes.txt|\xc3\xa9|-|-\n");
}

static void links_loops_and_special_files_are_survived(void **state)
{
	const char *root = ek_scratch(), *outside = ek_scratch();

	put(root, "a/1.jpg", jpeg_start);
	put(root, "b/2.jpg", jpeg_start);
	put(outside, "3.jpg", jpeg_start);
	assert_int_equal(symlink("..", ek_join(root, "a/up")), 0);
	assert_int_equal(symlink("../b", ek_join(root, "a/across")), 0);
	assert_int_equal(symlink("../a", ek_join(root, "b/across")), 0);
	assert_int_equal(symlink(outside, ek_join(root, "outside")), 0);
	assert_int_equal(symlink(outside, ek_join(root, "outside again")), 0);
	assert_int_equal(symlink("nothing", ek_join(root, "dangling.jpg")), 0);
	assert_int_equal(symlink("itself.jpg", ek_join(root, "itself.jpg")), 0);
	assert_int_equal(symlink("a/1.jpg", ek_join(root, "good.jpg")), 0);
	assert_int_equal(link(ek_join(root, "a/1.jpg"), ek_join(root, "hard.jpg")), 0);
	assert_int_equal(mkfifo(ek_join(root, "fifo.jpg"), 0600), 0);
	assert_int_equal(mkfifo(ek_join(root, "fifo"), 0600), 0);
	ek_warnings.count = 0;
	check_list(root, NULL,
	           "a/1.jpg|a|-|-\n"
	           "b/2.jpg|b|-|-\n"
	           "dangling.jpg|-|-|a link to nothing\n"
	           "fifo.jpg|-|-|not a regular file\n"
	           "good.jpg|-|-|-\n"
	           "hard.jpg|-|-|-\n"
	           "itself.jpg|-|-|a link to nothing\n"
	           "outside/3.jpg|outside|-|-\n");
	/* a/across, a/up, b/across, "outside again" */
	assert_int_equal(ek_warnings.count, 1);
	assert_string_equal(ek_warnings.last + strlen(root),
	                    ": left out: 4 links to folders that are reached without them (a/across, …)");
}

static void no_folder_is_walked_twice_whichever_way_comes_first(void **state)
{
	const char *root = ek_scratch(), *outside = ek_scratch(), *parent = ek_scratch();
	const char *inner = ek_join(parent, "inner");

	/* A part of a folder, then the folder; a folder, then a part of it; what no walk comes by without the link. */
	put(outside, "deep/1.jpg", jpeg_start);
	put(root, ".store/2.jpg", jpeg_start);
	assert_int_equal(symlink(ek_join(outside, "deep"), ek_join(root, "a")), 0);
	assert_int_equal(symlink(outside, ek_join(root, "b")), 0);
	assert_int_equal(symlink(ek_join(outside, "deep"), ek_join(root, "c")), 0);
	assert_int_equal(symlink(".store", ek_join(root, "d")), 0);
	put(outside, "3.jpg", jpeg_start);
	check_list(root, NULL, "a/1.jpg|a|-|-\nb/3.jpg|b|-|-\nd/2.jpg|d|-|-\n");

	/* A link to a folder that holds the data set. */
	put(inner, "x/1.jpg", jpeg_start);
	put(parent, "2.jpg", jpeg_start);
	assert_int_equal(symlink(parent, ek_join(inner, "up")), 0);
	check_list(inner, NULL, "up/2.jpg|up|-|-\nx/1.jpg|x|-|-\n");
}

static void what_nobody_means_is_left_out_and_can_be_named(void **state)
{
	static const char *const hidden[] = { "*", ".thumbnails" }, *const system[] = { "*.jpg", "@ea*" };
	static const char *const export[] = { "mine/*" };
	const char *root = ek_scratch();

	put(root, "a/1.jpg", jpeg_start);
	put(root, "a/.thumbnails/2.jpg", jpeg_start);
	put(root, "a/@eaDir/3.jpg", jpeg_start);
	put(root, "a/._1.jpg", "AppleDouble");
	put(root, "a/.DS_Store", "x");
	put(root, "a/thumbs.db", "x");
	put(root, "__MACOSX/a/._1.jpg", jpeg_start);
	put(root, "mine/.evenkeel-export", "{}");
	put(root, "mine/4.jpg", jpeg_start);
	put(root, "run/run.json", "{}");
	put(root, "run/5.jpg", jpeg_start);
	put(root, "copied/run.json", "{\"scan\": {\"evenkeel\": \"1\", \"version\": 1}}");
	put(root, "copied/6.jpg", jpeg_start);
	ek_warnings.count = 0;
	check_list(root, NULL, "a/1.jpg|a|-|-\nrun/5.jpg|run|-|-\nrun/run.json|run|-|-\n");
	assert_int_equal(ek_warnings.count, 1);
	assert_string_equal(ek_warnings.last + strlen(root),
	                    ": left out: 1 hidden file or folder (a/.thumbnails), 5 put there by a system "
	                    "(__MACOSX, …), 1 export of ours (mine), 1 run directory (copied)");
	check_selected(root, hidden, 2, NULL, 0,
	               "a/.thumbnails/2.jpg|a|-|-\na/1.jpg|a|-|-\nrun/5.jpg|run|-|-\nrun/run.json|run|-|-\n");
	check_selected(root, system, 2, NULL, 0, "a/1.jpg|a|-|-\na/@eaDir/3.jpg|a|-|-\nrun/5.jpg|run|-|-\n");
	check_selected(root, export, 1, NULL, 0, "mine/4.jpg|-|-|-\n");
}

/* Folders that all images share are no label, whatever else lies beside them. */
static void a_label_is_where_folders_differ(void **state)
{
	static const struct member tree[] = { { "./top/in/notes.txt", "x" },    { "./top/in/cats/1.jpg", jpeg_start },
		                              { "./top/list.csv", "x" },        { "./top/in/cats/a/2.jpg", jpeg_start },
		                              { "./top/in/dogs/3.jpg", "bad" }, { "./top/in/4.jpg", jpeg_start } };
	static const char *const cats[] = { "cats" };
	const char *root = ek_scratch(), *one = ek_scratch(), *tar = ek_join(ek_scratch(), "x.tar");
	const char *list_path = ek_join(root, "list.txt");

	put(one, "top/000001.jpg", jpeg_start);
	put(one, "top/000002.jpg", jpeg_start);
	put(one, "list_attr.txt", "x");
	check_list(one, NULL, "list_attr.txt|-|-|-\ntop/000001.jpg|-|-|-\ntop/000002.jpg|-|-|-\n");
	for (size_t i = 0; i < sizeof tree / sizeof *tree; i++)
		put(root, tree[i].name, tree[i].text);
	check_list(root, NULL,
	           "top/in/4.jpg|-|-|-\ntop/in/cats/1.jpg|cats|-|-\ntop/in/cats/a/2.jpg|cats|-|-\n"
	           "top/in/dogs/3.jpg|dogs|-|-\ntop/in/notes.txt|-|-|-\ntop/list.csv|top|-|-\n");
	/* Of the images that are meant. */
	check_selected(root, cats, 1, NULL, 0, "top/in/cats/1.jpg|-|-|-\ntop/in/cats/a/2.jpg|a|-|-\n");
	write_tar(tar, tree, sizeof tree / sizeof *tree);
	check_list(tar, NULL,
	           "top/in/cats/1.jpg|cats|-|-\ntop/in/cats/a/2.jpg|cats|-|-\ntop/in/dogs/3.jpg|dogs|-|-\n"
	           "top/in/4.jpg|-|-|-\n");
	put(root, "list.txt", "top/in/cats/1.jpg\ntop/in/dogs/3.jpg\n");
	check_list(list_path, NULL, "top/in/cats/1.jpg|cats|-|-\ntop/in/dogs/3.jpg|dogs|-|-\n");
}

static void patterns_are_for_names_or_for_paths(void **state)
{
	static const char *const name[] = { "b" }, *const path[] = { "a/b/" }, *const star[] = { "a/*.png" };
	static const char *const seg[] = { "*.seg.png" }, *const meta[] = { "metadata.csv" }, *const empty[] = { "/" };
	const char *root = ek_scratch(), *list_path = ek_join(root, "list.txt");
	struct ek_dataset *dataset;

	put(root, "a/b/1.jpg", jpeg_start);
	put(root, "a/2.png", jpeg_start);
	put(root, "a/2.seg.png", jpeg_start);
	put(root, "b/3.jpg", jpeg_start);
	put(root, "metadata.csv", "file_name,x\ngone.jpg,1\n");
	check_selected(root, name, 1, meta, 1, "a/b/1.jpg|a|-|-\nb/3.jpg|b|-|-\n");
	check_selected(root, path, 1, meta, 1, "a/b/1.jpg|-|-|-\n");
	check_selected(root, star, 1, seg, 1, "a/2.png|-|-|-\n");
	put(root, "metadata.csv", "file_name,x\nb/3.jpg,1\n");
	check_selected(root, NULL, 0, path, 1, "a/2.png|a|-|-\na/2.seg.png|a|-|-\nb/3.jpg|b|{\"x\":1}|-\n");
	put(root, "list.txt", "a/2.png\na/2.seg.png\n.hidden.png\n");
	check_selected(list_path, NULL, 0, seg, 1, "a/2.png|a|-|-\n.hidden.png|-|-|-\n");
	assert_ok(ek_dataset_open(&dataset, &root, 1, NULL, NULL));
	assert_fails(ek_dataset_select(dataset, empty, 1, NULL, 0), EK_EUSAGE, "empty pattern");
	ek_dataset_close(dataset);
}

/* run.json, which keeps them, is UTF-8. */
static void a_pattern_is_utf8(void **state)
{
	static const char *const bytes[] = { "\xff*" };
	struct ek_patterns patterns;

	assert_fails(ek_patterns_init(&patterns, bytes, 1, NULL, 0), EK_EUSAGE, "is not UTF-8");
	ek_patterns_release(&patterns);
	assert_fails(ek_patterns_init(&patterns, NULL, 0, bytes, 1), EK_EUSAGE, "is not UTF-8");
	ek_patterns_release(&patterns);
}

static void metadata_beside_the_images_is_read_as_imagefolder_does(void **state)
{
	const char *root = ek_scratch();
	struct ek_buffer out = { 0 };

	put(root, "train/metadata.csv", "file_name,text,age\n1.jpg,one,3\ndeep/2.jpg,two,\n");
	put(root, "train/1.jpg", jpeg_start);
	put(root, "train/deep/2.jpg", jpeg_start);
	put(root, "test/metadata.jsonl", "{\"file_name\":\"1.jpg\",\"text\":\"other\"}\n");
	put(root, "test/1.jpg", jpeg_start);
	put(root, "test/2.jpg", jpeg_start);
	ek_warnings.count = 0;
	check_list(root, NULL,
	           "test/1.jpg|test|{\"text\":\"other\"}|-\n"
	           "test/2.jpg|test|-|-\n"
	           "train/1.jpg|train|{\"text\":\"one\",\"age\":3}|-\n"
	           "train/deep/2.jpg|train|{\"text\":\"two\"}|-\n");
	assert_int_equal(ek_warnings.count, 0);

	put(root, "train/metadata.csv", "file_name,age\n1.jpg,3\ngone.jpg,4\n");
	assert_ok(list(&out, &root, 1, NULL));
	assert_int_equal(ek_warnings.count, 1);
	/* Tables of something else: told, not used, and no reason to stop. */
	static const char *const foreign[] = { "file_name,age\nfar.jpg,3\ngone.jpg,4\n", "isic_id,age\n1,3\n", "",
		                               "file_name,age\n1.jpg,3\n1.jpg,4\n" };
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		put(root, "train/metadata.csv", foreign[i]);
		ek_warnings.count = 0;
		check_list(root, NULL,
		           "test/1.jpg|test|{\"text\":\"other\"}|-\n"
		           "test/2.jpg|test|-|-\n"
		           "train/1.jpg|train|-|-\n"
		           "train/deep/2.jpg|train|-|-\n");
		assert_int_equal(ek_warnings.count, 1);
	}
	ek_buffer_release(&out);
}

static void attributes_are_joined_by_name(void **state)
{
	const char *root = ek_scratch(), *csv = ek_join(ek_scratch(), "x.csv");
	struct ek_buffer out = { 0 };

	put(root, "a/1.jpg", jpeg_start);
	put(root, "2.jpg", jpeg_start);
	ek_write_file(csv, "file_name,age\n2.jpg,20\na/1.jpg,10\n", 34);
	check_list(root, csv, "2.jpg|-|{\"age\":20}|-\na/1.jpg|a|{\"age\":10}|-\n");
	ek_write_file(csv, "file_name,age\n2.jpg,20\n3.jpg,10\n", 32);
	ek_warnings.count = 0;
	check_list(root, csv, "2.jpg|-|{\"age\":20}|-\na/1.jpg|a|-|-\n");
	assert_int_equal(ek_warnings.count, 1);
	ek_write_file(csv, "image_id,age\n1,20\n3,10\n", 23); /* by the last part of the name, without its ending */
	check_list(root, csv, "2.jpg|-|-|-\na/1.jpg|a|{\"age\":20}|-\n");
	ek_write_file(csv, "file_name,age\n4.jpg,20\n3.jpg,10\n", 32);
	assert_fails(list(&out, &root, 1, csv), EK_EDATA, "x.csv: none of its 2 rows is for an image of the data set");
	ek_buffer_release(&out);
}

static void tar_members_become_samples(void **state)
{
	static const struct member members[] = {
		{ "./000.cls", "7\n" },
		{ "./000.jpg", jpeg_start },
		{ "./000.json", "{\"age\": 3}" },
		{ "001.jpg", jpeg_start },
		{ "001.txt", "a caption\n" },
		{ "002.left.jpg", jpeg_start },
		{ "002.right.jpg", jpeg_start },
		{ "002.cls", "8" },
		{ "cats/1.jpg", jpeg_start },
		{ "/etc/x.jpg", jpeg_start },
		{ "../up.jpg", jpeg_start },
		{ "readme", "text" },
		{ "link.jpg", NULL },
		{ "text.jpg", "no picture" },
		{ "twice.jpg", jpeg_start },
		{ "twice.jpg", jpeg_start },
		{ "bad.jpg", jpeg_start },
		{ "bad.json", "{" },
	};
	const char *path = ek_join(ek_scratch(), "x.tar");

	write_tar(path, members, sizeof members / sizeof *members);
	ek_warnings.count = 0;
	check_list(path, NULL,
	           "000.jpg|7|{\"age\":3}|-\n"
	           "001.jpg|-|{\"text\":\"a caption\\n\"}|-\n"
	           "002.left.jpg|8|-|-\n"
	           "002.right.jpg|8|-|-\n"
	           "cats/1.jpg|cats|-|-\n"
	           "/etc/x.jpg|etc|-|-\n"
	           "../up.jpg|-|-|-\n"
	           "link.jpg|-|-|a link inside the tar, without bytes of its own\n"
	           "text.jpg|-|-|-\n"
	           "twice.jpg|-|-|-\n"
	           "twice.jpg|-|-|-\n"
	           "bad.jpg|-|-|-\n");
	assert_int_equal(ek_warnings.count, 2); /* twice.jpg, bad.json */
	assert_int_equal(walks, 1);
}

static void check_tar(const struct member *members, size_t count, int want_walks, const char *warning, const char *want)
{
	const char *path = ek_join(ek_scratch(), "x.tar");

	write_tar(path, members, count);
	*ek_warnings.last = 0;
	check_list(path, NULL, want);
	assert_int_equal(walks, want_walks);
	assert_string_equal(*ek_warnings.last != 0 ? ek_warnings.last + strlen(path) : "", warning);
}
#define CHECK_TAR(members, ...) check_tar(members, sizeof members / sizeof *(members), __VA_ARGS__)

static void labels_of_a_tar_are_found_wherever_they_lie(void **state)
{
	static const struct member behind[] = { { "a.jpg", jpeg_start }, { "b.jpg", jpeg_start },
		                                { "a.cls", "1" },        { "b.cls", "2" },
		                                { "c.cls", "3" },        { "a.json", "{\"x\":1}" } };
	static const struct member before[] = {
		{ "a.cls", "1" }, { "b.cls", "2" }, { "a.txt", "t" }, { "a.jpg", jpeg_start }, { "b.jpg", jpeg_start }
	};
	static const struct member other[] = { { "a.jpg", jpeg_start }, { "a.cls", "1" }, { "readme.txt", "hello" } };

	CHECK_TAR(behind, 2,
	          ": of the .cls, .json and .txt beside images, these were not used: 1 file without an image of its "
	          "name (c.cls)",
	          "a.jpg|1|{\"x\":1}|-\nb.jpg|2|-|-\n");
	CHECK_TAR(before, 1, "", "a.jpg|1|{\"text\":\"t\"}|-\nb.jpg|2|-|-\n");
	CHECK_TAR(other, 1,
	          ": of the .cls, .json and .txt beside images, these were not used: 1 file without an image of its "
	          "name (readme.txt)",
	          "a.jpg|1|-|-\n");
}

static void names_with_dots_have_their_own_labels(void **state)
{
	static const struct member members[] = { { "v1.0_3.jpg", jpeg_start }, { "v1.0_3.cls", "3" },
		                                 { "v1.0_4.cls", "4" },        { "v1.0_4.jpg", jpeg_start },
		                                 { "v1.0_5.jpg", jpeg_start }, { "v1.txt", "all" } };

	CHECK_TAR(members, 1, "",
	          "v1.0_3.jpg|3|{\"text\":\"all\"}|-\n"
	          "v1.0_4.jpg|4|{\"text\":\"all\"}|-\n"
	          "v1.0_5.jpg|-|{\"text\":\"all\"}|-\n");
}

static void a_name_that_is_there_again_keeps_its_own_label(void **state)
{
	static const struct member beside[] = {
		{ "a.jpg", jpeg_start }, { "a.cls", "1" }, { "a.jpg", jpeg_start }, { "a.cls", "2" }
	};
	static const struct member apart[] = {
		{ "a.jpg", jpeg_start }, { "b.jpg", jpeg_start }, { "a.cls", "1" }, { "b.cls", "2" }, { "a.cls", "3" }
	};

	CHECK_TAR(beside, 1, ": 1 name is there again (a.jpg); each goes with what lies beside it",
	          "a.jpg|1|-|-\na.jpg|2|-|-\n");
	CHECK_TAR(apart, 2,
	          ": of the .cls, .json and .txt beside images, these were not used: 1 of which another says otherwise "
	          "(a.cls)",
	          "a.jpg|-|-|-\nb.jpg|2|-|-\n");
}

/* As in tars behind each other, each with its labels behind all images. */
static void labels_between_images_of_one_name_go_to_none_that_they_may_not_be_of(void **state)
{
	static const struct member differ[] = { { "a.jpg", jpeg_start }, { "b.jpg", jpeg_start },
		                                { "a.cls", "1" },        { "b.cls", "1" },
		                                { "a.jpg", jpeg_start }, { "b.jpg", jpeg_start },
		                                { "a.cls", "2" },        { "b.cls", "2" } };
	static const struct member agree[] = { { "a.jpg", jpeg_start }, { "b.jpg", jpeg_start },
		                               { "a.cls", "1" },        { "b.cls", "2" },
		                               { "a.jpg", jpeg_start }, { "b.jpg", jpeg_start },
		                               { "a.cls", "1" },        { "b.cls", "2" } };
	static const struct member shared[] = { { "a.l.jpg", jpeg_start }, { "b.l.jpg", jpeg_start },
		                                { "a.cls", "1" },          { "b.cls", "2" },
		                                { "a.r.jpg", jpeg_start }, { "b.r.jpg", jpeg_start } };

	CHECK_TAR(differ, 1,
	          ": of the .cls, .json and .txt beside images, these were not used: 4 of which others say otherwise "
	          "(a, …)",
	          "a.jpg|-|-|-\nb.jpg|-|-|-\na.jpg|-|-|-\nb.jpg|-|-|-\n");
	CHECK_TAR(agree, 2, "", "a.jpg|1|-|-\nb.jpg|2|-|-\na.jpg|1|-|-\nb.jpg|2|-|-\n");
	CHECK_TAR(shared, 2, "", "a.l.jpg|1|-|-\nb.l.jpg|2|-|-\na.r.jpg|1|-|-\nb.r.jpg|2|-|-\n");
}

static void labels_of_a_name_that_is_there_twice_are_not_swapped(void **state)
{
	static const struct member between[] = { { "x.jpg", jpeg_start }, { "y.jpg", jpeg_start },
		                                 { "x.jpg", jpeg_start }, { "x.cls", "1" },
		                                 { "y.cls", "2" },        { "x.cls", "3" } };
	static const struct member agree[] = { { "x.jpg", jpeg_start }, { "y.jpg", jpeg_start },
		                               { "x.jpg", jpeg_start }, { "x.cls", "1" },
		                               { "y.cls", "2" },        { "x.cls", "1" } };
	static const struct member before[] = { { "x.cls", "1" },        { "y.cls", "2" },
		                                { "x.cls", "3" },        { "x.jpg", jpeg_start },
		                                { "y.jpg", jpeg_start }, { "x.jpg", jpeg_start } };
	static const struct member each[] = { { "x.jpg", jpeg_start }, { "y.jpg", jpeg_start }, { "x.cls", "1" },
		                              { "y.cls", "2" },        { "x.jpg", jpeg_start }, { "x.cls", "3" } };
	static const struct member third[] = { { "x.jpg", jpeg_start }, { "y.jpg", jpeg_start },
		                               { "x.jpg", jpeg_start }, { "x.cls", "1" },
		                               { "y.cls", "2" },        { "x.cls", "3" },
		                               { "z.jpg", jpeg_start }, { "x.jpg", jpeg_start },
		                               { "x.cls", "4" } };
	static const struct member one[] = {
		{ "x.jpg", jpeg_start }, { "y.jpg", jpeg_start }, { "x.jpg", jpeg_start }, { "x.cls", "1" }
	};
#define NOT_USED ": of the .cls, .json and .txt beside images, these were not used: "

	CHECK_TAR(between, 2, NOT_USED "2 of which others say otherwise (x.cls, …)",
	          "x.jpg|-|-|-\ny.jpg|2|-|-\nx.jpg|-|-|-\n");
	CHECK_TAR(agree, 2, "", "x.jpg|1|-|-\ny.jpg|2|-|-\nx.jpg|1|-|-\n");
	CHECK_TAR(before, 1, NOT_USED "1 of which another says otherwise (x.cls)",
	          "x.jpg|3|-|-\ny.jpg|2|-|-\nx.jpg|-|-|-\n");
	CHECK_TAR(each, 2, "", "x.jpg|1|-|-\ny.jpg|2|-|-\nx.jpg|3|-|-\n");
	CHECK_TAR(third, 2, NOT_USED "2 of which others say otherwise (x.cls, …)",
	          "x.jpg|-|-|-\ny.jpg|2|-|-\nx.jpg|-|-|-\nz.jpg|-|-|-\nx.jpg|4|-|-\n");
	CHECK_TAR(one, 1, "", "x.jpg|-|-|-\ny.jpg|-|-|-\nx.jpg|1|-|-\n");
}

static void a_large_sample_is_whole(void **state)
{
	struct member members[41];
	char names[40][16];
	struct ek_buffer want = { 0 };
	const char *path = ek_join(ek_scratch(), "x.tar");

	for (int i = 0; i < 40; i++) {
		(void)snprintf(names[i], sizeof names[i], "x.%02d.jpg", i);
		members[i] = (struct member){ names[i], jpeg_start };
		assert_ok(ek_buffer_printf(&want, "%s|7|-|-\n", names[i]));
	}
	members[40] = (struct member){ "x.cls", "7" };
	write_tar(path, members, 41);
	check_list(path, NULL, want.data);
	assert_int_equal(walks, 2);
	ek_buffer_release(&want);
}

static void what_macos_and_masks_add_to_a_tar_is_left_out(void **state)
{
	static const struct member members[] = { { "./._1.jpg", "AppleDouble" }, { "./1.jpg", jpeg_start },
		                                 { "./._1.cls", "AppleDouble" }, { "./1.cls", "7" },
		                                 { "PaxHeader/1.jpg", "x" },     { "2.jpg", jpeg_start },
		                                 { "2.seg.png", jpeg_start },    { "2.mask_1.png", jpeg_start },
		                                 { "3.mask.png", jpeg_start },   { "3.png", jpeg_start },
		                                 { "4.seg.png", jpeg_start },    { "5.jpg", jpeg_start },
		                                 { "5.second.jpg", jpeg_start } };
	static const char *const masks[] = { "*.seg.png", "2.jpg" };
	const char *path = ek_join(ek_scratch(), "x.tar");

	CHECK_TAR(members, 1,
	          ": left out: 3 put there by a system (._1.jpg, …), 3 masks and maps of other images (2.seg.png, …)",
	          "1.jpg|7|-|-\n2.jpg|-|-|-\n3.png|-|-|-\n4.seg.png|-|-|-\n5.jpg|-|-|-\n5.second.jpg|-|-|-\n");
	write_tar(path, members, sizeof members / sizeof *members);
	check_selected(path, masks, 2, NULL, 0, "2.jpg|-|-|-\n2.seg.png|-|-|-\n4.seg.png|-|-|-\n");
}

static void tars_behind_each_other_are_read_as_one(void **state)
{
	static const struct member first[] = { { "a.jpg", jpeg_start }, { "a.cls", "1" } };
	static const struct member second[] = { { "b.jpg", jpeg_start }, { "b.cls", "2" } };
	const char *one = ek_join(ek_scratch(), "1.tar"), *two = ek_join(ek_scratch(), "2.tar");
	struct ek_buffer both = { 0 };

	write_tar(one, first, 2);
	write_tar(two, second, 2);
	assert_ok(ek_file_read(&both, one, 1 << 20));
	assert_ok(ek_file_read(&both, two, 1 << 20));
	ek_write_file(one, both.data, both.size);
	ek_warnings.count = 0;
	check_list(one, NULL, "a.jpg|1|-|-\nb.jpg|2|-|-\n");
	assert_int_equal(ek_warnings.count, 0);
	ek_buffer_release(&both);
}

static void a_globs_tars_come_in_order_and_samples_end_with_their_tar(void **state)
{
	static const struct member first[] = { { "a.jpg", jpeg_start }, { "a.cls", "1" } };
	static const struct member second[] = { { "a.jpg", jpeg_start } };
	const char *folder = ek_scratch();

	write_tar(ek_join(folder, "x-1.tar"), second, 1);
	write_tar(ek_join(folder, "x-0.tar"), first, 2);
	check_list(ek_join(folder, "x-*.tar"), NULL, "a.jpg|1|-|-\na.jpg|-|-|-\n");
	check_list(ek_join(folder, "x-{1,0}.tar"), NULL, "a.jpg|1|-|-\na.jpg|-|-|-\n");
}

static void a_cut_tar_keeps_what_came_before(void **state)
{
	static const struct member members[] = { { "a.jpg", jpeg_start }, { "b.jpg", jpeg_start } };
	const char *path = ek_join(ek_scratch(), "x.tar");

	write_tar(path, members, 2);
	assert_int_equal(truncate(path, 3 * 512 + 5), 0);
	ek_warnings.count = 0;
	check_list(path, NULL, "a.jpg|-|-|-\nb.jpg|-|-|the tar ends inside it\n");
	assert_int_equal(ek_warnings.count, 1);
}

static void lists_and_tables_are_relative_to_their_folder(void **state)
{
	const char *root = ek_scratch(), *text = ek_join(root, "list.txt"), *csv = ek_join(root, "x.csv");
	const char *jsonl = ek_join(root, "x.jsonl");
	struct ek_buffer out = { 0 };

	put(root, "list.txt", "./a/1.jpg\r\n\n/abs/2.jpg\nb c.jpg");
	check_list(text, NULL, "a/1.jpg|a|-|-\n/abs/2.jpg|-|-|-\nb c.jpg|-|-|-\n");
	put(root, "x.csv", "file_name,label\n\"a\nb.jpg\",cat\n../c.jpg,2\n");
	check_list(csv, NULL, "a\nb.jpg|-|{\"label\":\"cat\"}|-\n../c.jpg|-|{\"label\":2}|-\n");
	put(root, "x.jsonl", "{\"file_name\":\"?\",\"file_name_bytes\":\"ff2e6a7067\"}\n");
	check_list(jsonl, NULL, "\xff.jpg|-|{}|-\n");
	put(root, "x.csv", "file_name\na.jpg\na.jpg\n");
	assert_fails(list(&out, &csv, 1, NULL), EK_EDATA, "x.csv:3: a second row for \"a.jpg\"");
	ek_buffer_release(&out);
}

static void idx_files_find_their_labels(void **state)
{
	static const char images[] = "\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x02"
				     "abcd";
	static const char labels[] = "\0\0\x08\x01\0\0\0\x02\x05\x09", three[] = "\0\0\x08\x01\0\0\0\x03\x05\x09\x01";
	const char *folder = ek_scratch();
	const char *path = ek_join(folder, "train-images-idx3-ubyte");
	const char *beside = ek_join(folder, "train-labels-idx1-ubyte");
	struct ek_buffer out = { 0 };

	ek_write_file(path, images, sizeof images - 1);
	ek_warnings.count = 0;
	check_list(path, NULL, "train-images-idx3-ubyte/000000|-|-|-\ntrain-images-idx3-ubyte/000001|-|-|-\n");
	assert_int_equal(ek_warnings.count, 1);
	ek_write_file(beside, labels, sizeof labels - 1);
	check_list(path, NULL, "train-images-idx3-ubyte/000000|5|-|-\ntrain-images-idx3-ubyte/000001|9|-|-\n");
	ek_write_file(path, images, sizeof images - 2);
	check_list(path, NULL, "train-images-idx3-ubyte/000000|5|-|-\n");
	assert_int_equal(ek_warnings.count, 2);
	ek_write_file(beside, three, sizeof three - 1);
	assert_fails(list(&out, &path, 1, NULL), EK_EDATA, "train-labels-idx1-ubyte: 3 labels, ");
	assert_fails(list(&out, &beside, 1, NULL), EK_EUSAGE, "is a file of labels");
	ek_buffer_release(&out);
}

static void an_npz_holds_images_where_it_says(void **state)
{
	static const uint8_t pixels[2][1][2][3] = { { { { 1, 2, 3 }, { 4, 5, 6 } } },
		                                    { { { 7, 8, 9 }, { 10, 11, 12 } } } };
	struct ek_npz_member member = { "arr_0", EK_U8, 4, { 2, 1, 2, 3 }, pixels };
	const char *path = ek_join(ek_scratch(), "a b.npz");
	struct ek_dataset *dataset = NULL;
	struct ek_dataset_item item = { 0 };
	struct ek_buffer whole = { 0 }, out = { 0 };

	assert_ok(ek_npz_write(path, &member, 1));
	assert_ok(ek_file_read(&whole, path, 1 << 20));
	check_list(path, NULL, "a b.npz/000000|-|-|-\na b.npz/000001|-|-|-\n");
	assert_ok(ek_dataset_open(&dataset, &path, 1, NULL, NULL));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ek_dataset_next(dataset, &item), 1);
		assert_int_equal(item.bare, EK_IMAGE_RGB8);
		assert_true(item.bare_width == 2 && item.bare_height == 1 && item.size == 6);
		assert_memory_equal(item.bytes.data, pixels[i], 6);
		assert_memory_equal(whole.data + item.offset, pixels[i], 6);
	}
	assert_int_equal(ek_dataset_next(dataset, &item), 0);
	ek_dataset_item_release(&item);
	ek_dataset_close(dataset);
	member.shape[3] = 2;
	assert_ok(ek_npz_write(path, &member, 1));
	assert_fails(list(&out, &path, 1, NULL), EK_EDATA,
	             "no array of images, which are uint8 [images, height, width]");
	member.name = "mu";
	member.dimensions = 2;
	assert_ok(ek_npz_write(path, &member, 1));
	assert_fails(list(&out, &path, 1, NULL), EK_EDATA, "but mu.npy");
	ek_buffer_release(&whole);
	ek_buffer_release(&out);
}

static void among_several_a_file_is_named_once(void **state)
{
	static const uint8_t pixels[2][1][2][3];
	const struct ek_npz_member member = { "arr_0", EK_U8, 4, { 2, 1, 2, 3 }, pixels };
	const char *folder = ek_scratch(), *paths[] = { ek_join(folder, "a/x.npz"), ek_join(folder, "b/x.npz") };
	struct ek_buffer out = { 0 };

	for (int i = 0; i < 2; i++) {
		assert_ok(ek_make_directories(ek_join(folder, i == 0 ? "a" : "b")));
		assert_ok(ek_npz_write(paths[i], &member, 1));
	}
	assert_ok(list(&out, paths, 2, NULL));
	assert_string_equal(out.data, "a/x.npz/000000|-|-|-\na/x.npz/000001|-|-|-\n"
	                              "b/x.npz/000000|-|-|-\nb/x.npz/000001|-|-|-\n");
	ek_buffer_release(&out);
}

/* As a repository of the hub: shards in folders, and what describes them. */
static void a_tree_of_shards_is_these(void **state)
{
	static const struct member cat[] = { { "cat.jpg", jpeg_start } }, dog[] = { { "dog.jpg", jpeg_start } };
	const char *folder = ek_scratch();

	put(folder, "README.md", "x");
	put(folder, ".cache/lock", "x");
	put(folder, "train/loader.py", "x");
	put(folder, "test/none.txt", "x");
	write_tar(ek_join(folder, "train/b.tar"), cat, 1);
	write_tar(ek_join(folder, "train/a.tar"), dog, 1);
	check_list(folder, NULL, "dog.jpg|-|-|-\ncat.jpg|-|-|-\n");
	write_tar(ek_join(folder, "test/a.tar"), dog, 1);
	check_list(folder, NULL, "test/a.tar/dog.jpg|-|-|-\ntrain/a.tar/dog.jpg|-|-|-\ntrain/b.tar/cat.jpg|-|-|-\n");
	put(folder, "test/x.jpg", jpeg_start);
	check_list(folder, NULL,
	           "README.md|-|-|-\ntest/a.tar|-|-|-\ntest/none.txt|-|-|-\ntest/x.jpg|-|-|-\n"
	           "train/a.tar|train|-|-\ntrain/b.tar|train|-|-\ntrain/loader.py|train|-|-\n");
}

static void what_is_no_data_set_is_refused(void **state)
{
	const char *folder = ek_scratch();
	const char *two[] = { folder, folder };
	const char *zeros = ek_join(folder, "zeros"), *empty = ek_join(folder, "empty"), *fifo = ek_join(folder, "f");
	const char *image = ek_join(folder, "one.jpg"), *none = ek_join(folder, "none-*.tar");
	const char *pointer = ek_join(folder, "p.tar"), *page = ek_join(folder, "list.txt");
	struct ek_buffer out = { 0 };

	ek_write_file(zeros, "\0\0\0\0", 4);
	ek_write_file(empty, "", 0);
	ek_write_file(image, jpeg_start, sizeof jpeg_start - 1);
	put(folder, "p.tar", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n");
	put(folder, "list.txt", "\n<!DOCTYPE html>\n<p>404\n");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_fails(list(&out, &pointer, 1, NULL), EK_EDATA, "p.tar: a Git LFS pointer");
	assert_fails(list(&out, &page, 1, NULL), EK_EDATA, "list.txt: an HTML page");
	assert_fails(list(&out, &zeros, 1, NULL), EK_EDATA, "not a data set");
	assert_fails(list(&out, &empty, 1, NULL), EK_EDATA, "empty");
	assert_fails(list(&out, &fifo, 1, NULL), EK_EDATA, "neither a folder nor a regular file");
	assert_fails(list(&out, &image, 1, NULL), EK_EUSAGE, "is one image");
	assert_fails(list(&out, &none, 1, NULL), EK_EUSAGE, "matches none");
	assert_fails(list(&out, two, 2, NULL), EK_EUSAGE, "is given twice");
	assert_fails(list(&out, two, 0, NULL), EK_EUSAGE, "no data set");
	ek_buffer_release(&out);
}

static char *fingerprint(const char *path)
{
	struct ek_dataset *dataset;
	cJSON *json;
	char *text;

	assert_ok(ek_dataset_open(&dataset, &path, 1, NULL, NULL));
	assert_ok(ek_dataset_look(dataset));
	assert_ok(ek_dataset_fingerprint(&json, dataset));
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	ek_dataset_close(dataset);
	return text;
}

/* 1: the fingerprint of `path` is not `*last` any more, which becomes what it is now. */
static int has_changed(char **last, const char *path)
{
	char *now = fingerprint(path);
	const int changed = *last == NULL || strcmp(*last, now) != 0;

	cJSON_free(*last);
	*last = now;
	return changed;
}

/* As many bytes, and the time of the file's content put back, as cp -p does. */
static void replace_quietly(const char *root, const char *name, const char *bytes)
{
	char path[512];
	struct stat status;

	(void)snprintf(path, sizeof path, "%s/%s", root, name);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal((size_t)status.st_size, strlen(bytes));
	/* Past the clock of the file system, which ticks every few milliseconds. */
	assert_int_equal(usleep(20000), 0);
	ek_write_file(path, bytes, strlen(bytes));
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){ status.st_atim, status.st_mtim }, 0), 0);
}

static void the_fingerprint_sees_every_file_of_a_folder(void **state)
{
	const char *root = ek_scratch();
	char *last = NULL, from[512], to[512];

	put(root, "a/b/1.jpg", "one");
	put(root, "a/metadata.csv", "file_name,x\nb/1.jpg,1\n");
	assert_true(has_changed(&last, root));
	assert_false(has_changed(&last, root));
	put(root, "a/b/2.jpg", "two");
	assert_true(has_changed(&last, root));
	put(root, "a/metadata.csv", "file_name,x\nb/1.jpg,12\n");
	assert_true(has_changed(&last, root));
	replace_quietly(root, "a/b/2.jpg", "owt");
	assert_true(has_changed(&last, root));
	(void)snprintf(from, sizeof from, "%s/a/b/2.jpg", root);
	(void)snprintf(to, sizeof to, "%s/a/b/3.jpg", root);
	assert_int_equal(rename(from, to), 0);
	assert_true(has_changed(&last, root));
	/* A file that came and went leaves nothing but the folder's time. */
	put(root, "a/b/4.jpg", "four");
	(void)snprintf(to, sizeof to, "%s/a/b/4.jpg", root);
	assert_int_equal(unlink(to), 0);
	assert_false(has_changed(&last, root));
	cJSON_free(last);
}

static void the_fingerprint_sees_the_files_behind_a_list(void **state)
{
	static const struct {
		const char *name, *text;
	} lists[] = { { "list.txt", "1.jpg\n\nnone.jpg\n" },
		      { "table.csv", "file_name,x\n1.jpg,7\nnone.jpg,8\n" },
		      { "table.jsonl", "{\"file_name\": \"1.jpg\"}\n{\"file_name\": \"none.jpg\"}\n" } };
	const char *root = ek_scratch();
	char *last = NULL, path[512], none[512];

	(void)snprintf(none, sizeof none, "%s/none.jpg", root);
	put(root, "1.jpg", "one");
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		put(root, lists[i].name, lists[i].text);
		(void)snprintf(path, sizeof path, "%s/%s", root, lists[i].name);
		assert_true(has_changed(&last, path));
		assert_false(has_changed(&last, path));
		replace_quietly(root, "1.jpg", "eno");
		assert_true(has_changed(&last, path));
		put(root, "none.jpg", "there");
		assert_true(has_changed(&last, path));
		assert_int_equal(unlink(none), 0);
		replace_quietly(root, "1.jpg", "one");
		put(root, "2.jpg", "of another");
	}
	cJSON_free(last);
}

static void the_fingerprint_sees_another_tar_of_the_same_size(void **state)
{
	const char *root = ek_scratch();
	char *last = NULL, path[512], tar[1025] = { 0 };

	memset(tar, 'x', 1024);
	put(root, "a.tar", tar);
	(void)snprintf(path, sizeof path, "%s/a.tar", root);
	assert_true(has_changed(&last, path));
	assert_false(has_changed(&last, path));
	memset(tar, 'y', 1024);
	replace_quietly(root, "a.tar", tar);
	assert_true(has_changed(&last, path));
	cJSON_free(last);
}

static void the_fingerprint_of_idx_sees_its_labels(void **state)
{
	const char *root = ek_scratch();
	char *last = NULL, path[512], images[512];

	(void)snprintf(images, sizeof images, "%s/t-images-idx3-ubyte", root);
	ek_write_file(images, "\0\0\x08\x03\0\0\0\1\0\0\0\1\0\0\0\1x", 17);
	assert_true(has_changed(&last, images));
	(void)snprintf(path, sizeof path, "%s/t-labels-idx1-ubyte", root);
	ek_write_file(path, "\0\0\x08\x01\0\0\0\1\3", 9);
	assert_true(has_changed(&last, images));
	assert_false(has_changed(&last, images));
	cJSON_free(last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folder_comes_in_byte_order_with_labels_from_its_first_level),
		cmocka_unit_test(links_loops_and_special_files_are_survived),
		cmocka_unit_test(a_pattern_is_utf8),
		cmocka_unit_test(metadata_beside_the_images_is_read_as_imagefolder_does),
		cmocka_unit_test(attributes_are_joined_by_name),
		cmocka_unit_test(no_folder_is_walked_twice_whichever_way_comes_first),
		cmocka_unit_test(what_nobody_means_is_left_out_and_can_be_named),
		cmocka_unit_test(a_label_is_where_folders_differ),
		cmocka_unit_test(patterns_are_for_names_or_for_paths),
		cmocka_unit_test(tar_members_become_samples),
		cmocka_unit_test(labels_of_a_tar_are_found_wherever_they_lie),
		cmocka_unit_test(names_with_dots_have_their_own_labels),
		cmocka_unit_test(a_name_that_is_there_again_keeps_its_own_label),
		cmocka_unit_test(labels_between_images_of_one_name_go_to_none_that_they_may_not_be_of),
		cmocka_unit_test(labels_of_a_name_that_is_there_twice_are_not_swapped),
		cmocka_unit_test(a_large_sample_is_whole),
		cmocka_unit_test(what_macos_and_masks_add_to_a_tar_is_left_out),
		cmocka_unit_test(tars_behind_each_other_are_read_as_one),
		cmocka_unit_test(a_globs_tars_come_in_order_and_samples_end_with_their_tar),
		cmocka_unit_test(a_cut_tar_keeps_what_came_before),
		cmocka_unit_test(lists_and_tables_are_relative_to_their_folder),
		cmocka_unit_test(idx_files_find_their_labels),
		cmocka_unit_test(an_npz_holds_images_where_it_says),
		cmocka_unit_test(among_several_a_file_is_named_once),
		cmocka_unit_test(a_tree_of_shards_is_these),
		cmocka_unit_test(what_is_no_data_set_is_refused),
		cmocka_unit_test(the_fingerprint_sees_every_file_of_a_folder),
		cmocka_unit_test(the_fingerprint_sees_the_files_behind_a_list),
		cmocka_unit_test(the_fingerprint_sees_another_tar_of_the_same_size),
		cmocka_unit_test(the_fingerprint_of_idx_sees_its_labels),
	};

	ek_warnings_take();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
