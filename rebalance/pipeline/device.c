#include "rebalance/pipeline/device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "train/nn/cuda.h"
#include "train/nn/rows.h"

/* Opening a GPU takes about a second; a processor of two cores does so many multiply-adds in ten. */
static const double worth_it = 1e12;

enum { LARGEST_NUMBER = 1023 };

static int may_choose;  /* auto, and nothing is taken yet */
static int told_little; /* and that it is too little to take one */

/* The number of the GPU, or -1: none is named. */
static int parse(int *number, const char *text)
{
	static const char prefix[] = "cuda:";
	char *end = NULL;
	unsigned long value;

	*number = -1;
	if (text == NULL || strcmp(text, "auto") == 0 || strcmp(text, "cpu") == 0)
		return 0;
	*number = 0;
	if (strcmp(text, "cuda") == 0)
		return 0;
	if (strncmp(text, prefix, sizeof prefix - 1) == 0 && text[sizeof prefix - 1] >= '0' &&
	    text[sizeof prefix - 1] <= '9') {
		value = strtoul(text + sizeof prefix - 1, &end, 10);
		*number = (int)(value <= LARGEST_NUMBER ? value : LARGEST_NUMBER);
	}
	return end != NULL && *end == 0 && value <= LARGEST_NUMBER
	               ? 0
	               : ek_fail(EK_EUSAGE, "'device' is \"%s\", not auto, cpu, cuda or cuda:N (N from 0: which GPU)",
	                         text);
}

int ek_device_check(const char *text)
{
	int number;

	return parse(&number, text);
}

static int take(int number)
{
	const struct ek_device *device;
	struct ek_cuda_gpu gpu;
	int rc;

	EK_TRY(ek_cuda_choose(&device, number));
	EK_TRY(ek_cuda_gpu(&gpu, number));
	ek_nn_rows_choose(1);
	ek_device_set(device);
	ek_info("computing on GPU %d: %s, %.1f of %.1f GiB free", number, gpu.name, (double)gpu.free / 0x1p30,
	        (double)gpu.bytes / 0x1p30);
out:
	return rc;
}

int ek_device_wish(const char *text, enum ek_device_ways ways)
{
	int number, rc;

	EK_TRY(parse(&number, text));
	may_choose = ways == EK_WAYS_GPU && (text == NULL || strcmp(text, "auto") == 0);
	if (number < 0 || ways == EK_WAYS_NOTHING)
		return 0;
	EK_TRY(take(number));
out:
	return rc;
}

static void tell_little(void)
{
	if (told_little || ek_device() != &ek_device_cpu || !ek_cuda_seen())
		return;
	told_little = 1;
	ek_info("computing on the processor: too little work to be worth opening a GPU, which 'device' cuda would");
}

void ek_device_for(double work)
{
	if (!may_choose)
		return;
	if (work < worth_it) {
		tell_little();
		return;
	}
	may_choose = 0;
	if (take(0) < 0 && (ek_cuda_count() > 0 || ek_cuda_seen()))
		ek_info("computing on the processor: %s", ek_error_message());
}

void ek_device_for_precision(enum ek_nn_precision precision)
{
	if (precision == EK_NN_BF16 && !ek_device_has_bf16())
		ek_device_for(INFINITY);
}

const struct ek_device *ek_device_without(const char *what)
{
	static const char *told[8];
	const struct ek_device *before = ek_device();
	size_t i = 0;

	if (before == &ek_device_cpu)
		return before;
	ek_device_set(NULL);
	while (i < sizeof told / sizeof *told && told[i] != NULL && strcmp(told[i], what) != 0)
		i++;
	if (i < sizeof told / sizeof *told && told[i] == NULL) {
		told[i] = what;
		ek_info("%s has no way on a GPU yet: the processor does it", what);
	}
	return before;
}

void ek_device_back(const struct ek_device *before)
{
	ek_device_set(before);
}
