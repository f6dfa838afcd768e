/* JSON lines: one object a line, blank lines skipped, read one at a time. */
#ifndef EK_IO_JSONL_H
#define EK_IO_JSONL_H

#include "rebalance/base/json.h"
#include "rebalance/io/lines.h"

struct ek_jsonl {
	struct ek_lines lines; /* .line and .offset are those of the object last read */
};

/* EK_EIO, EK_EDATA. */
int ek_jsonl_open(struct ek_jsonl *jsonl, const char *path);
/* 1 and an object (cJSON_Delete it), 0 at the end. EK_EDATA names file and line. */
int ek_jsonl_next(struct ek_jsonl *jsonl, cJSON **object);
/* Pass over `count` objects without parsing them. EK_EDATA if there are fewer. */
int ek_jsonl_skip(struct ek_jsonl *jsonl, uint64_t count);
void ek_jsonl_seek(struct ek_jsonl *jsonl, uint64_t offset, uint64_t line);
void ek_jsonl_close(struct ek_jsonl *jsonl);

#endif
