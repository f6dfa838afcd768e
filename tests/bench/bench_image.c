/*
 * Decode, resize (shorter side 256) and centre crop to 224 of the JPEGs of a tar, against bare libjpeg-turbo decoding
 * of the same files on the same threads. The files lie in memory; both sides are measured in turn, file by file, in
 *processor time.
 *
 *	bench_image TAR [THREADS [ROUNDS]]
 *
 * One line each: name, images/s of one core, ours, bare, ratio (the bare decode is the limit, so it is the share of it,
 *too).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jpeglib.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/base/threads.h"
#include "rebalance/io/image.h"
#include "rebalance/io/resize.h"
#include "rebalance/io/tar.h"

enum { SHORTER = 256, CROP = 224, MAX_THREADS = 1024 };

struct job {
	struct ek_buffer *files;
	size_t count;
	enum ek_filter filter;
	int whole; /* 1: decode all, then resize */
	double our_seconds[MAX_THREADS], bare_seconds[MAX_THREADS];
};

static int read_files(struct job *job, const char *path)
{
	struct ek_tar *tar = NULL;
	struct ek_tar_member member;
	int rc;

	EK_TRY(ek_tar_open(&tar, path));
	while ((rc = ek_tar_next(tar, &member)) == 1) {
		struct ek_buffer file = { 0 };

		if (!member.is_file)
			continue;
		EK_TRY(ek_tar_read(tar, &file, (size_t)member.size));
		if (ek_image_sniff(file.data, file.size) != EK_IMAGE_JPEG) {
			ek_buffer_release(&file);
			continue;
		}
		EK_TRY(ek_resize(&job->files, job->count + 1, sizeof *job->files));
		job->files[job->count++] = file;
	}
out:
	ek_tar_close(tar);
	return rc;
}

static double thread_seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int bare(const struct job *job, uint64_t i)
{
	const struct ek_buffer *file = &job->files[i];
	struct jpeg_decompress_struct j;
	struct jpeg_error_mgr errors;
	uint8_t *pixels;

	j.err = jpeg_std_error(&errors);
	jpeg_create_decompress(&j);
	jpeg_mem_src(&j, (const unsigned char *)file->data, (unsigned long)file->size);
	(void)jpeg_read_header(&j, TRUE);
	j.out_color_space = JCS_RGB;
	(void)jpeg_start_decompress(&j);
	pixels = malloc((size_t)j.output_width * j.output_height * 3);
	while (j.output_scanline < j.output_height) {
		JSAMPROW rows[16];

		for (size_t r = 0; r < 16; r++)
			rows[r] = pixels + (j.output_scanline + r) * 3 * j.output_width;
		(void)jpeg_read_scanlines(
			&j, rows, j.output_height - j.output_scanline < 16 ? j.output_height - j.output_scanline : 16);
	}
	(void)jpeg_finish_decompress(&j);
	jpeg_destroy_decompress(&j);
	free(pixels);
	return 0;
}

static int ours(const struct job *job, uint64_t i)
{
	const struct ek_buffer *file = &job->files[i];
	struct ek_image_window window = { 0, 0, CROP, CROP };
	struct ek_image_info info;
	struct ek_image crop = { 0 };
	uint32_t shorter, width, height;
	int rc;

	EK_TRY(ek_image_probe(&info, file->data, file->size, EK_MAX_PIXELS_DEFAULT));
	shorter = info.width < info.height ? info.width : info.height;
	width = (uint32_t)((uint64_t)info.width * SHORTER / shorter);
	height = (uint32_t)((uint64_t)info.height * SHORTER / shorter);
	window.x = (width - CROP) / 2;
	window.y = (height - CROP) / 2;
	if (job->whole) {
		struct ek_image image = { 0 };

		rc = ek_image_decode(&image, file->data, file->size, EK_MAX_PIXELS_DEFAULT, 0);
		if (rc == 0)
			rc = ek_image_resize_window(&crop, &image, width, height, window.x, window.y, CROP, CROP,
			                            job->filter);
		ek_image_release(&image);
	} else {
		rc = ek_image_decode_resized(&crop, file->data, file->size, EK_MAX_PIXELS_DEFAULT, width, height,
		                             &window, job->filter);
	}
out:
	ek_image_release(&crop);
	return rc;
}

/* One file by both ways, one after the other: what else the machine does then slows both alike. */
static int both(void *context, uint64_t i, int worker)
{
	struct job *job = context;
	const uint64_t file = i % job->count;
	const double start = thread_seconds();
	double middle;
	int rc;

	EK_TRY(bare(job, file));
	middle = thread_seconds();
	EK_TRY(ours(job, file));
	job->bare_seconds[worker] += middle - start;
	job->our_seconds[worker] += thread_seconds() - middle;
out:
	return rc;
}

static int measure(struct job *job, const char *name, int rounds)
{
	double mine = 0, theirs = 0;
	int rc;

	EK_TRY(ek_parallel(job->count, both, job)); /* warm */
	memset(job->bare_seconds, 0, sizeof job->bare_seconds);
	memset(job->our_seconds, 0, sizeof job->our_seconds);
	EK_TRY(ek_parallel(job->count * (uint64_t)rounds, both, job));
	for (int i = 0; i < MAX_THREADS; i++) {
		mine += job->our_seconds[i];
		theirs += job->bare_seconds[i];
	}
	printf("decode, %s to %d, crop to %d (%d threads): %.0f images/s a core, bare decode %.0f, ratio %.3f\n", name,
	       SHORTER, CROP, ek_threads(), (double)job->count * rounds / mine, (double)job->count * rounds / theirs,
	       theirs / mine);
out:
	return rc;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum ek_filter filter;
		int whole;
	} cases[] = {
		{ "bilinear", EK_FILTER_BILINEAR, 0 },
		{ "bicubic", EK_FILTER_BICUBIC, 0 },
		{ "bilinear from the whole", EK_FILTER_BILINEAR, 1 },
		{ "bicubic from the whole", EK_FILTER_BICUBIC, 1 },
	};
	const int rounds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 11;
	struct job job = { 0 };
	int rc = 0;

	if (argc < 2 || rounds < 1) {
		fprintf(stderr, "usage: bench_image TAR [THREADS [ROUNDS]]\n");
		return 2;
	}
	ek_threads_set(argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0);
	EK_TRY(read_files(&job, argv[1]));
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		job.filter = cases[c].filter;
		job.whole = cases[c].whole;
		EK_TRY(measure(&job, cases[c].name, rounds));
	}
out:
	if (rc < 0)
		fprintf(stderr, "%s\n", ek_error_message());
	for (size_t i = 0; i < job.count; i++)
		ek_buffer_release(&job.files[i]);
	free(job.files);
	return rc < 0;
}
