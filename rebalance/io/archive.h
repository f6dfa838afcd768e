/*
 * What is used of libarchive. Few data sets need it, and it brings seven libraries along, which would be loaded at
 * every start: whoever opens an archive calls ek_archive_load first.
 */
#ifndef EK_IO_ARCHIVE_H
#define EK_IO_ARCHIVE_H

#include <archive.h>
#include <archive_entry.h>

#define EK_ARCHIVE_FUNCTIONS(X)                                                                                        \
	X(entry_clear, archive_entry_clear)                                                                            \
	X(entry_filetype, archive_entry_filetype)                                                                      \
	X(entry_free, archive_entry_free)                                                                              \
	X(entry_hardlink, archive_entry_hardlink)                                                                      \
	X(entry_new, archive_entry_new)                                                                                \
	X(entry_pathname, archive_entry_pathname)                                                                      \
	X(entry_set_filetype, archive_entry_set_filetype)                                                              \
	X(entry_set_mtime, archive_entry_set_mtime)                                                                    \
	X(entry_set_pathname, archive_entry_set_pathname)                                                              \
	X(entry_set_perm, archive_entry_set_perm)                                                                      \
	X(entry_set_size, archive_entry_set_size)                                                                      \
	X(entry_size, archive_entry_size)                                                                              \
	X(entry_sparse_count, archive_entry_sparse_count)                                                              \
	X(error_number, archive_errno)                                                                                 \
	X(error_text, archive_error_string)                                                                            \
	X(filter_bytes, archive_filter_bytes)                                                                          \
	X(read_data, archive_read_data)                                                                                \
	X(read_data_block, archive_read_data_block)                                                                    \
	X(read_free, archive_read_free)                                                                                \
	X(read_new, archive_read_new)                                                                                  \
	X(read_next_header, archive_read_next_header)                                                                  \
	X(read_open, archive_read_open)                                                                                \
	X(read_open_fd, archive_read_open_fd)                                                                          \
	X(read_set_format_option, archive_read_set_format_option)                                                      \
	X(read_support_filter_bzip2, archive_read_support_filter_bzip2)                                                \
	X(read_support_filter_xz, archive_read_support_filter_xz)                                                      \
	X(read_support_filter_zstd, archive_read_support_filter_zstd)                                                  \
	X(read_support_format_raw, archive_read_support_format_raw)                                                    \
	X(read_support_format_tar, archive_read_support_format_tar)                                                    \
	X(write_close, archive_write_close)                                                                            \
	X(write_data, archive_write_data)                                                                              \
	X(write_free, archive_write_free)                                                                              \
	X(write_header, archive_write_header)                                                                          \
	X(write_new, archive_write_new)                                                                                \
	X(write_open, archive_write_open)                                                                              \
	X(write_set_bytes_in_last_block, archive_write_set_bytes_in_last_block)                                        \
	X(write_set_bytes_per_block, archive_write_set_bytes_per_block)                                                \
	X(write_set_format_ustar, archive_write_set_format_ustar)

#define EK_ARCHIVE_POINTER(name, function) __typeof__(&(function)) name;
extern struct ek_archive {
	EK_ARCHIVE_FUNCTIONS(EK_ARCHIVE_POINTER)
} ek_archive;

/* May be called from several threads, and again. EK_ENOTSUP: it is not there. */
int ek_archive_load(void);

#endif
