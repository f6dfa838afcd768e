#include <pthread.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "analysis/embed/embed.h"
#include "analysis/embed/preprocess.h"
#include "rebalance/base/file.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/image.h"
#include "rebalance/io/scan.h"
#include "tests/analysis/embed/random_weights.h"
#include "tests/support/support.h"
#include "tests/train/nn/fake_device.h"
#include "train/nn/device_internal.h"

enum { IMAGES = 37, CHILD_DONE = 10, CHILD_INTERRUPTED = 11 };

/* A picture as its number says: sizes differ, and every third is wide. */
static void make_image(struct ek_image *image, int i)
{
	image->height = (uint32_t)(40 + i % 5 * 9);
	image->width = i % 3 == 0 ? 2 * image->height : image->height;
	assert_ok(ek_alloc(&image->pixels, (size_t)image->width * image->height, 3));
	ek_random_image(image->pixels, i, (int)image->width, (int)image->height);
}

/* Write a folder of images and scan it. `*folder`: the images' place. */
static struct ek_run *scanned(const char **folder)
{
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	struct ek_run *run = NULL;

	*folder = ek_scratch();
	for (int i = 0; i < IMAGES; i++) {
		struct ek_image image = { 0 };
		struct ek_buffer png = { 0 };
		char name[32];

		make_image(&image, i);
		assert_ok(ek_image_encode_png(&png, &image));
		(void)snprintf(name, sizeof name, "image %02d.png", i);
		ek_write_file(ek_join(*folder, name), png.data, png.size);
		ek_buffer_release(&png);
		ek_image_release(&image);
	}
	o.datasets = folder;
	o.dataset_count = 1;
	assert_ok(ek_run_open(&run, ek_scratch(), EK_RUN_CREATE));
	assert_ok(ek_scan(run, &o));
	return run;
}

static int embed(struct ek_run *run, const struct ek_embed_options *o, int threads)
{
	struct ek_embed *e = NULL;
	int rc;

	ek_threads_set(threads);
	EK_TRY(ek_embed_prepare(&e, run, o));
	EK_TRY(ek_embed_run(e, run));
out:
	ek_embed_free(e);
	ek_threads_set(0);
	return rc;
}

static void assert_same(const struct ek_buffer *a, const struct ek_buffer *b)
{
	assert_int_equal(a->size, b->size);
	assert_memory_equal(a->data, b->data, a->size);
}

static const char *weights_of(const char *encoder)
{
	cJSON *golden = ek_golden("encoders");
	const char *path = ek_join(ek_scratch(), "model.safetensors");
	static char kept[256];

	assert_ok(ek_random_weights_write(
		path, cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(golden, "networks"), encoder)));
	cJSON_Delete(golden);
	(void)snprintf(kept, sizeof kept, "%s", path);
	return kept;
}

static void rows_are_the_images_in_order(void **state)
{
	const struct ek_embed_options o = { .encoder = "pixels", .input_size = 8, .storage = EK_F32 };
	const uint64_t shape[2] = { IMAGES, 3 * 8 * 8 };
	const char *folder;
	struct ek_run *run = scanned(&folder);
	const struct ek_encoder *pixels;
	struct ek_preprocessing p;
	struct ek_npy npy;

	assert_ok(embed(run, &o, 3));
	assert_ok(ek_npy_open_as(&npy, ek_join(ek_run_path(run), "embeddings.npy"), EK_F32, 2, shape));
	assert_ok(ek_encoder_find(&pixels, "pixels"));
	assert_ok(ek_encoder_preprocessing(&p, pixels, 8, 0));
	for (int i = 0; i < IMAGES; i++) {
		struct ek_image image = { 0 };
		uint8_t small[3 * 8 * 8];

		make_image(&image, i);
		assert_ok(ek_preprocess(small, &image, &p));
		for (size_t j = 0; j < sizeof small; j++)
			assert_close(((const float *)npy.data)[(size_t)i * sizeof small + j], small[j] / 255.0, 1e-7);
		ek_image_release(&image);
	}
	ek_npy_close(&npy);
	ek_run_close(run);
}

static void bytes_are_the_same_for_any_number_of_threads(void **state)
{
	struct ek_embed_options o = { .encoder = "efficientnet-lite0", .input_size = 64, .storage = EK_F32 };
	const char *folder;
	struct ek_run *run = scanned(&folder);
	struct ek_buffer one, many;

	o.weights = weights_of("efficientnet-lite0");
	assert_ok(embed(run, &o, 1));
	one = ek_read_file(ek_join(ek_run_path(run), "embeddings.npy"));
	for (int threads = 2; threads <= 16; threads *= 2) {
		assert_ok(embed(run, &o, threads));
		many = ek_read_file(ek_join(ek_run_path(run), "embeddings.npy"));
		assert_same(&many, &one);
		ek_buffer_release(&many);
	}
	ek_buffer_release(&one);
	ek_run_close(run);
}

static uint64_t some_memory(void)
{
	return UINT64_C(40) << 20;
}

static uint64_t no_memory(void)
{
	return 1 << 20;
}

/* What is brought is there only when it is waited for. */
static struct arrival {
	void *host;
	const void *from;
	size_t bytes;
} arrivals[64];
static size_t arrival_count, awaited;

static void bring(void **arrival, void *host, const void *from, size_t bytes)
{
	struct arrival *a = *arrival != NULL ? *arrival : &arrivals[arrival_count++];

	assert_true(arrival_count < sizeof arrivals / sizeof *arrivals);
	free((void *)(uintptr_t)a->from);
	a->from = malloc(bytes);
	assert_non_null(a->from);
	fake_device()->download((void *)(uintptr_t)a->from, from, bytes);
	a->host = host;
	a->bytes = bytes;
	*arrival = a;
}

static int is_brought(void *arrival)
{
	(void)arrival;
	return 0;
}

static void brought(void *arrival)
{
	struct arrival *a = arrival;

	memcpy(a->host, a->from, a->bytes);
	awaited++;
}

static void forget_arrival(void *arrival)
{
	struct arrival *a = arrival;

	free((void *)(uintptr_t)a->from);
	a->from = NULL;
}

/* All threads load a device's large batches, of which there are two here. */
static void a_shared_device_makes_the_same_rows(void **state)
{
	struct ek_embed_options o = {
		.encoder = "efficientnet-lite0", .input_size = 448, .precision = EK_NN_F32, .storage = EK_F32
	};
	const struct ek_device *fake = fake_device();
	struct ek_device shared = *fake;
	const char *folder;
	struct ek_run *run = scanned(&folder);
	struct ek_buffer own, there;

	o.weights = weights_of("efficientnet-lite0");
	assert_ok(embed(run, &o, 2));
	own = ek_read_file(ek_join(ek_run_path(run), "embeddings.npy"));
	shared.one_at_a_time = 1;
	ek_device_set(&shared);
	assert_ok(embed(run, &o, 16));
	there = ek_read_file(ek_join(ek_run_path(run), "embeddings.npy"));
	assert_same(&own, &there);
	ek_buffer_release(&there);
	shared.available = some_memory; /* for a few images */
	assert_ok(embed(run, &o, 2));
	there = ek_read_file(ek_join(ek_run_path(run), "embeddings.npy"));
	assert_same(&own, &there);
	ek_buffer_release(&there);
	shared.bring = bring;
	shared.is_brought = is_brought;
	shared.brought = brought;
	shared.forget_arrival = forget_arrival;
	assert_ok(embed(run, &o, 2));
	there = ek_read_file(ek_join(ek_run_path(run), "embeddings.npy"));
	assert_same(&own, &there);
	assert_true(awaited > arrival_count && arrival_count > 1);
	ek_buffer_release(&there);
	shared.available = no_memory;
	assert_fails(embed(run, &o, 2), EK_ENOMEM, "too little for one image");
	ek_device_set(NULL);
	ek_buffer_release(&own);
	ek_run_close(run);
}

static void embeddings_json_says_how_they_were_made(void **state)
{
	struct ek_embed_options o = { .precision = EK_NN_F32, .storage = EK_F16 };
	const char *folder;
	struct ek_run *run = scanned(&folder);
	struct ek_npy npy;
	cJSON *json = NULL, *preprocessing;
	char *text;

	o.weights = weights_of("efficientnet-lite0");
	assert_ok(embed(run, &o, 2));
	assert_ok(ek_json_load(&json, ek_join(ek_run_path(run), "embeddings.json")));
	cJSON_DeleteItemFromObject(cJSON_GetObjectItem(json, "weights"), "sha256");
	preprocessing = cJSON_GetObjectItem(json, "preprocessing");
	assert_close(cJSON_GetArrayItem(cJSON_GetObjectItem(preprocessing, "mean"), 2)->valuedouble, 127.0 / 255,
	             1e-15);
	assert_close(cJSON_GetArrayItem(cJSON_GetObjectItem(preprocessing, "deviation"), 0)->valuedouble, 128.0 / 255,
	             1e-15);
	cJSON_DeleteItemFromObject(preprocessing, "mean");
	cJSON_DeleteItemFromObject(preprocessing, "deviation");
	text = cJSON_PrintUnformatted(json);
	/* Median shorter side 58: four times that is beyond the encoder's own 224. */
	assert_string_equal(text, "{\"encoder\":\"efficientnet-lite0\",\"weights\":{\"file\":\"model.safetensors\"},"
	                          "\"input_size\":224,\"precision\":\"float32\",\"preprocessing\":{\"resize\":224,"
	                          "\"crop\":\"centre\",\"interpolation\":\"bicubic\"},"
	                          "\"dimensions\":1280,\"images\":37,\"dtype\":\"float16\",\"normalised\":false}");
	assert_ok(ek_npy_open(&npy, ek_join(ek_run_path(run), "embeddings.npy")));
	assert_int_equal(npy.type, EK_F16);
	assert_int_equal(npy.shape[1], 1280);
	ek_npy_close(&npy);
	cJSON_free(text);
	cJSON_Delete(json);
	ek_run_close(run);
}

/* When the first rows are written. */
static void *interrupt_after_rows(void *partial)
{
	struct stat status;

	while (stat(partial, &status) != 0 || status.st_size < 1 << 12)
		(void)usleep(200);
	ek_interrupt();
	return NULL;
}

static const struct ek_embed_options interrupted = { .encoder = "efficientnet-lite0",
	                                             .input_size = 224,
	                                             .storage = EK_F32 };

/* The wish to stop stays with a process: this is one of its own, and not a child with half of this one's threads. */
static int embed_interrupted(char *path, const char *weights)
{
	struct ek_embed_options o = interrupted;
	struct ek_run *run = NULL;
	pthread_t thread;
	int rc;

	o.weights = weights;
	if (ek_run_open(&run, path, EK_RUN_WRITE) < 0 ||
	    pthread_create(&thread, NULL, interrupt_after_rows,
	                   (void *)(uintptr_t)ek_join(path, "embeddings.npy.partial")) != 0 ||
	    pthread_detach(thread) != 0)
		return 1;
	rc = embed(run, &o, 2);
	ek_run_close(run);
	return rc == 0 ? CHILD_DONE : rc == EK_EINTERRUPTED ? CHILD_INTERRUPTED : 1;
}

static int spawn_interrupted(char *path, char *weights)
{
	char program[] = "/proc/self/exe", name[] = "interrupted";
	char *const words[] = { program, name, path, weights, NULL };
	int status;
	pid_t child;

	assert_int_equal(posix_spawn(&child, program, NULL, NULL, words, environ), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static uint64_t rows_kept(const struct ek_run *run)
{
	const char *path = ek_join(ek_run_path(run), "embeddings.npy.partial.key");
	struct ek_buffer key = { 0 };
	uint64_t rows;

	if (!ek_file_exists(path))
		return 0;
	assert_ok(ek_file_read(&key, path, 1 << 10));
	rows = strtoull(key.data, NULL, 10);
	ek_buffer_release(&key);
	return rows;
}

static void an_interrupted_pass_goes_on_to_the_same_bytes(void **state)
{
	struct ek_embed_options o = interrupted;
	const char *folder;
	struct ek_run *run = scanned(&folder);
	char *path = strdup(ek_run_path(run)), *weights = strdup(weights_of(o.encoder));
	struct ek_buffer undisturbed, resumed;
	int went_on = 0;

	o.weights = weights;
	assert_ok(embed(run, &o, 2));
	undisturbed = ek_read_file(ek_join(ek_run_path(run), "embeddings.npy"));
	ek_run_close(run);
	/* Again where the last rows came before anybody looked. */
	for (int i = 0; !went_on && i < 20; i++) {
		const int status = spawn_interrupted(path, weights);

		assert_true(status == CHILD_DONE || status == CHILD_INTERRUPTED);
		assert_ok(ek_run_open(&run, path, EK_RUN_WRITE));
		went_on = status == CHILD_INTERRUPTED && rows_kept(run) > 0 && rows_kept(run) < IMAGES;
		if (!went_on)
			ek_run_close(run);
	}
	assert_true(went_on);
	assert_ok(embed(run, &o, 1));
	resumed = ek_read_file(ek_join(ek_run_path(run), "embeddings.npy"));
	assert_same(&resumed, &undisturbed);
	assert_false(ek_file_exists(ek_join(ek_run_path(run), "embeddings.npy.partial")));
	ek_buffer_release(&undisturbed);
	ek_buffer_release(&resumed);
	ek_run_close(run);
	free(path);
	free(weights);
}

static void a_changed_image_is_named(void **state)
{
	const struct ek_embed_options o = { .encoder = "pixels", .storage = EK_F32 };
	const char *folder;
	struct ek_run *run = scanned(&folder);
	struct ek_buffer png = { 0 };

	assert_ok(ek_file_read(&png, ek_join(folder, "image 20.png"), 1 << 20));
	memset(png.data + png.size / 2, 0, png.size / 4);
	ek_write_file(ek_join(folder, "image 20.png"), png.data, png.size);
	assert_fails(embed(run, &o, 4), EK_EDATA, "image 20.png");
	assert_false(ek_file_exists(ek_join(ek_run_path(run), "embeddings.npy")));
	assert_int_equal(remove(ek_join(folder, "image 20.png")), 0);
	assert_true(embed(run, &o, 4) < 0);
	assert_non_null(strstr(ek_error_message(), "image 20.png"));
	ek_buffer_release(&png);
	ek_run_close(run);
}

static void a_run_stays_current_without_its_weights(void **state)
{
	struct ek_embed_options o = EK_EMBED_OPTIONS_DEFAULT;
	const char *folder, *empty = ek_scratch(), *reason;
	struct ek_run *run = scanned(&folder);
	struct ek_embed *e = NULL;
	uint64_t hash;
	int current = 0;

	assert_int_equal(setenv("XDG_CACHE_HOME", empty, 1), 0);
	assert_int_equal(setenv("HF_HOME", empty, 1), 0);
	assert_fails(ek_embed_prepare(&e, run, &o), EK_EDATA, "efficientnet-lite0-57934424.pth");
	assert_null(e);

	o.weights = weights_of("efficientnet-lite0");
	o.input_size = 64;
	assert_ok(ek_embed_prepare(&e, run, &o));
	assert_ok(ek_embed_run(e, run));
	assert_ok(ek_hash64_file(&hash, ek_join(ek_run_path(run), "embeddings.npy")));
	assert_string_equal(ek_embed_step(e)->hashed, "embeddings.npy");
	assert_true(ek_embed_step(e)->hash == hash);
	assert_ok(ek_run_record(run, ek_embed_step(e), 0, 1, NULL));
	ek_embed_free(e);

	o.weights = NULL;
	assert_ok(ek_embed_prepare(&e, run, &o));
	assert_ok(ek_run_is_current(&current, &reason, run, ek_embed_step(e)));
	assert_int_equal(current, 1);
	assert_fails(ek_embed_run(e, run), EK_EDATA, "efficientnet-lite0-57934424.pth");
	ek_embed_free(e);

	o.input_size = 96;
	assert_ok(ek_embed_prepare(&e, run, &o));
	assert_ok(ek_run_is_current(&current, &reason, run, ek_embed_step(e)));
	assert_int_equal(current, 0);
	ek_embed_free(e);
	ek_run_close(run);
}

/* A damaged download is told; a file the user names is the user's. */
static void a_cached_file_of_another_hash_is_refused(void **state)
{
	const char *cache = ek_scratch(), *place = ek_join(cache, "evenkeel");
	const char *path = ek_join(place, "efficientnet-lite0-57934424.pth");
	struct ek_embed_options o = EK_EMBED_OPTIONS_DEFAULT;
	const char *folder;
	struct ek_run *run = scanned(&folder);
	struct ek_embed *e = NULL;

	assert_ok(ek_make_directories(place));
	ek_write_file(path, "half a download", 15);
	assert_int_equal(setenv("XDG_CACHE_HOME", cache, 1), 0);
	assert_fails(ek_embed_prepare(&e, run, &o), EK_EDATA,
	             "expected 579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db: fetch it again");
	assert_null(e);
	o.weights = path;
	assert_ok(ek_embed_prepare(&e, run, &o));
	ek_embed_free(e);
	ek_run_close(run);
}

/* The step's options with this in a config.json beside the weights, or without one. */
static char *options_with(struct ek_run *run, const char *folder, const char *config)
{
	const char *weights = ek_join(folder, "weights.pt"), *path = ek_join(folder, "config.json");
	const struct ek_embed_options o = {
		.encoder = "clip-vit-b32", .weights = weights, .precision = EK_NN_F32, .storage = EK_F32
	};
	struct ek_embed *e = NULL;
	char *text;

	if (config != NULL)
		ek_write_file(path, config, strlen(config));
	else
		(void)remove(path);
	assert_ok(ek_embed_prepare(&e, run, &o));
	text = cJSON_PrintUnformatted(ek_embed_step(e)->options);
	assert_non_null(text);
	ek_embed_free(e);
	return text;
}

/* Embeddings by quick_gelu are not those by gelu, whatever the weight file. */
static void another_activation_is_another_pass(void **state)
{
	const char *images, *folder = ek_scratch();
	struct ek_run *run = scanned(&images);
	char *published, *same, *other;

	ek_write_file(ek_join(folder, "weights.pt"), "w", 1);
	published = options_with(run, folder, NULL);
	same = options_with(run, folder, "{\"hidden_act\":\"quick_gelu\"}");
	other = options_with(run, folder, "{\"hidden_act\":\"gelu\"}");
	assert_string_equal(published, same);
	assert_null(strstr(published, "activation"));
	assert_non_null(strstr(other, "\"activation\":\"gelu\""));
	cJSON_free(published);
	cJSON_free(same);
	cJSON_free(other);
	ek_run_close(run);
}

int main(int count, char **words)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_the_images_in_order),
		cmocka_unit_test(bytes_are_the_same_for_any_number_of_threads),
		cmocka_unit_test(a_shared_device_makes_the_same_rows),
		cmocka_unit_test(embeddings_json_says_how_they_were_made),
		cmocka_unit_test(an_interrupted_pass_goes_on_to_the_same_bytes),
		cmocka_unit_test(a_changed_image_is_named),
		cmocka_unit_test(a_run_stays_current_without_its_weights),
		cmocka_unit_test(a_cached_file_of_another_hash_is_refused),
		cmocka_unit_test(another_activation_is_another_pass),
	};

	if (count == 4) /* PROGRAM interrupted RUN WEIGHTS */
		return embed_interrupted(words[2], words[3]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
