#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/base/threads.h"
#include "rebalance/base/version.h"
#include "rebalance/cli/build.h"
#include "rebalance/cli/output.h"
#include "rebalance/cli/command.h"
#include "rebalance/base/text.h"
#include "rebalance/pipeline/machine.h"

static int print_gpus(void)
{
	const int count = ek_cuda_count();
	struct ek_cuda_library library;
	char built[16], driver[16];
	struct ek_cuda_gpu gpu;
	int rc = 0;

	if (count < 0) {
		(void)printf("GPUs: none; %s\n", ek_error_message());
		return 0;
	}
	for (int i = 0; i < count; i++) {
		EK_TRY(ek_cuda_gpu(&gpu, i));
		(void)printf("GPU %d: %s, compute capability %d.%d, %.1f of %.1f GiB free\n", i, gpu.name, gpu.major,
		             gpu.minor, (double)gpu.free / 0x1p30, (double)gpu.bytes / 0x1p30);
	}
	EK_TRY(ek_cuda_versions(built, driver));
	(void)printf("CUDA: %s, driver up to %s\n", built, driver);
	if (ek_cuda_library(&library) == 0)
		(void)printf("%s: %s, %s\n", library.name, library.version, library.path);
	else
		(void)printf("%s\n", ek_error_message());
out:
	return rc;
}

static int print_json(void)
{
	cJSON *json = cJSON_CreateObject();
	int rc;

	EK_TRY(ek_json_add_string(json, "version", EK_VERSION));
	EK_TRY(ek_json_add_string(json, "build", EK_BUILD_TYPE));
	EK_TRY(ek_json_add_string(json, "compiler", EK_BUILD_COMPILER));
	EK_TRY(ek_json_add_string(json, "sanitizers", EK_BUILD_SANITIZE));
	EK_TRY(ek_json_add_string(json, "libraries", EK_BUILD_LIBRARIES));
	EK_TRY(ek_machine_add(json));
	EK_TRY(ek_json_add_bool(json, "mpi", 0));
	EK_TRY(ek_print_json(json));
out:
	cJSON_Delete(json);
	return rc;
}

int ek_cmd_version(struct ek_invocation *invocation)
{
	struct ek_buffer sets = { 0 };
	int rc;

	if (invocation->settings.common.json)
		return print_json();
	EK_TRY(ek_machine_instruction_sets(&sets));
	(void)printf("evenkeel %s (%s, %s%s%s)\n", EK_VERSION, EK_BUILD_TYPE, EK_BUILD_COMPILER,
	             EK_BUILD_SANITIZE[0] != 0 ? ", sanitizers " : "", EK_BUILD_SANITIZE);
	(void)printf("libraries: %s\n", EK_BUILD_LIBRARIES);
	(void)printf("processor: %s; %d threads\n", sets.data, ek_threads());
	EK_TRY(print_gpus());
	(void)printf("off in this build: %s\n", EK_BUILD_OFF);
out:
	ek_buffer_release(&sets);
	return rc;
}
