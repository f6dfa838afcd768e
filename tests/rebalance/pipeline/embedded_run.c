#include "tests/rebalance/pipeline/embedded_run.h"

#include "rebalance/io/image.h"
#include "rebalance/io/scan.h"
#include "tests/support/support.h"

void ek_write_image(const char *folder, int i)
{
	struct ek_image image = { 0 };
	struct ek_buffer png = { 0 };
	char name[32];

	assert_ok(ek_image_allocate(&image, 12, 9));
	for (int j = 0; j < 12 * 9 * 3; j++)
		image.pixels[j] = (uint8_t)((i * 37 + j * (i % 7 + 1) * 11) % 256);
	assert_ok(ek_image_encode_png(&png, &image));
	(void)snprintf(name, sizeof name, "%03d.png", i);
	ek_write_file(ek_join(folder, name), png.data, png.size);
	ek_buffer_release(&png);
	ek_image_release(&image);
}

const char *ek_make_images(int count)
{
	const char *folder = ek_scratch();

	for (int i = 0; i < count; i++)
		ek_write_image(folder, i);
	return folder;
}

struct ek_run *ek_embedded_run(struct ek_embed **e, const char *folder)
{
	const struct ek_embed_options pixels = { .encoder = "pixels", .input_size = 4, .storage = EK_F32 };
	struct ek_scan_options o = EK_SCAN_OPTIONS_INIT;
	struct ek_run *run = NULL;

	o.datasets = &folder;
	o.dataset_count = 1;
	assert_ok(ek_run_open(&run, ek_scratch(), EK_RUN_CREATE));
	assert_ok(ek_scan(run, &o));
	assert_ok(ek_embed_prepare(e, run, &pixels));
	assert_ok(ek_embed_run(*e, run));
	return run;
}
