/*
 * Comma-separated values (RFC 4180), one record at a time: quoted fields with commas, newlines and doubled quotes;
 * records end with LF or CRLF; a byte-order mark and blank lines are skipped; a quote inside an unquoted field is
 * itself. What Python's csv.reader(strict=True) reads, and the same values.
 */
#ifndef EK_IO_CSV_H
#define EK_IO_CSV_H

#include "rebalance/io/lines.h"

struct ek_csv {
	uint64_t line;   /* where the record last read starts, from 1 */
	uint64_t offset; /* bytes */
	size_t count;    /* its fields */
	/* The rest is private. */
	struct ek_lines lines;
	char separator;
	struct ek_buffer text;
	size_t *starts, capacity;
};

/* EK_EIO, EK_EDATA. */
int ek_csv_open(struct ek_csv *csv, const char *path);
/* Before the first record: fields may be separated by semicolons or tabs instead of commas, by which of the three the
 * first line has most of. */
int ek_csv_guess_separator(struct ek_csv *csv);
/* 1 and a record, 0 at the end. EK_EDATA, naming file and line: a quote that never closes, text after a closing quote,
 * a carriage return or NUL inside a field, a record of more than 16 MiB. */
int ek_csv_next(struct ek_csv *csv);
/* Field i < count of the record, NUL-terminated, valid until the next call. */
const char *ek_csv_field(const struct ek_csv *csv, size_t i);
/* The next record read is the one at `offset`, on `line`. */
void ek_csv_seek(struct ek_csv *csv, uint64_t offset, uint64_t line);
void ek_csv_close(struct ek_csv *csv);

/* Append a field to a record that is written: as it is, or in quotes, quotes doubled, where it needs them. */
int ek_csv_append(struct ek_buffer *record, const char *text);

#endif
