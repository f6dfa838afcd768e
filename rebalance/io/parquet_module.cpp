#include "rebalance/io/parquet_module.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <arrow/io/memory.h>
#include <arrow/memory_pool.h>
#include <arrow/util/config.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/column_reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/properties.h>
#include <parquet/schema.h>

namespace
{

/* Of all files together: what a page claims to unpack to is asked for before it is known to be true. */
constexpr int64_t most_memory = int64_t{ 4 } << 30;

/* Where a column is read. */
struct cursor {
	std::shared_ptr<parquet::ColumnReader> reader; /* of a row group, or none */
	size_t group = 0;
	uint64_t next = 0; /* row of the file */
};

} // namespace

struct ek_parquet_file {
	arrow::CappedMemoryPool pool{ arrow::system_memory_pool(), most_memory };
	std::unique_ptr<parquet::ParquetFileReader> reader;
	std::shared_ptr<parquet::FileMetaData> metadata;
	std::vector<uint64_t> ends; /* behind the last row of each row group */
	std::vector<std::string> paths;
	std::vector<ek_parquet_column> columns;
	std::vector<cursor> cursors;
};

namespace
{

template <typename Work> enum ek_parquet_result guard(char *error, Work work)
{
	const char *what = "an unknown failure";
	std::string text;

	try {
		work();
		return EK_PARQUET_DONE;
	} catch (const std::bad_alloc &) {
		return EK_PARQUET_NO_MEMORY;
	} catch (const std::exception &e) {
		what = e.what();
		const size_t size = std::min<size_t>(std::strlen(what), EK_PARQUET_ERROR - 1);
		std::memcpy(error, what, size);
		error[size] = 0;
	} catch (...) {
		std::memcpy(error, what, std::strlen(what) + 1);
	}
	return EK_PARQUET_DAMAGED;
}

enum ek_parquet_type type_of(const parquet::ColumnDescriptor &column)
{
	const auto &logical = *column.logical_type();

	if (column.max_repetition_level() > 0)
		return EK_PARQUET_OTHER;
	switch (column.physical_type()) {
	case parquet::Type::BOOLEAN:
		return EK_PARQUET_BOOLEAN;
	case parquet::Type::INT32:
	case parquet::Type::INT64:
		if (logical.is_int())
			return static_cast<const parquet::IntLogicalType &>(logical).is_signed() ? EK_PARQUET_WHOLE
			                                                                         : EK_PARQUET_UNSIGNED;
		return logical.is_none() ? EK_PARQUET_WHOLE : EK_PARQUET_OTHER;
	case parquet::Type::FLOAT:
	case parquet::Type::DOUBLE:
		return EK_PARQUET_NUMBER;
	case parquet::Type::BYTE_ARRAY:
		if (logical.is_string() || logical.is_enum() || logical.is_JSON())
			return EK_PARQUET_TEXT;
		return logical.is_none() ? EK_PARQUET_BYTES : EK_PARQUET_OTHER;
	default:
		return EK_PARQUET_OTHER;
	}
}

void add_columns(ek_parquet_file &f)
{
	const parquet::SchemaDescriptor *schema = f.metadata->schema();

	for (int i = 0; i < schema->num_columns(); i++)
		f.paths.push_back(schema->Column(i)->path()->ToDotString());
	for (int i = 0; i < schema->num_columns(); i++)
		f.columns.push_back({ f.paths[static_cast<size_t>(i)].c_str(),
		                      schema->Column(i)->path()->ToDotVector().size(), type_of(*schema->Column(i)) });
	f.cursors.resize(f.columns.size());
}

void add_groups(ek_parquet_file &f)
{
	uint64_t end = 0;

	for (int i = 0; i < f.metadata->num_row_groups(); i++) {
		const int64_t rows = f.metadata->RowGroup(i)->num_rows();

		if (rows < 0 || static_cast<uint64_t>(rows) > (uint64_t{ 1 } << 48) - end)
			throw std::runtime_error("a row group has an impossible number of rows");
		end += static_cast<uint64_t>(rows);
		f.ends.push_back(end);
	}
}

enum ek_parquet_result open_file(struct ek_parquet_file **out, const void *bytes, size_t size, char *error)
{
	*out = nullptr;
	return guard(error, [&] {
		auto f = std::make_unique<ek_parquet_file>();
		parquet::ReaderProperties properties(&f->pool);

		properties.set_page_checksum_verification(true);
		f->reader = parquet::ParquetFileReader::Open(
			std::make_shared<arrow::io::BufferReader>(std::make_shared<arrow::Buffer>(
				static_cast<const uint8_t *>(bytes), static_cast<int64_t>(size))),
			properties);
		f->metadata = f->reader->metadata();
		add_columns(*f);
		add_groups(*f);
		*out = f.release();
	});
}

uint64_t rows_of(const struct ek_parquet_file *f)
{
	return f->ends.empty() ? 0 : f->ends.back();
}

/* The row group that a row is in. */
size_t group_of(const ek_parquet_file &f, uint64_t row)
{
	return static_cast<size_t>(std::upper_bound(f.ends.begin(), f.ends.end(), row) - f.ends.begin());
}

uint64_t group_end(const struct ek_parquet_file *f, uint64_t row)
{
	const size_t group = group_of(*f, row);

	return group < f->ends.size() ? f->ends[group] : rows_of(f);
}

size_t columns_of(const struct ek_parquet_file *f)
{
	return f->columns.size();
}

struct ek_parquet_column column_of(const struct ek_parquet_file *f, size_t i)
{
	return f->columns[i];
}

const char *text_of(const struct ek_parquet_file *f, const char *key)
{
	const auto &pairs = f->metadata->key_value_metadata();
	const int i = pairs != nullptr ? pairs->FindKey(key) : -1;

	return i >= 0 ? pairs->value(i).c_str() : nullptr;
}

/* One value: true, or false where there is none. */
template <typename Type> bool read_value(parquet::ColumnReader &reader, typename Type::c_type *value)
{
	int16_t definition = 0, repetition = 0;
	int64_t values = 0;

	if (static_cast<parquet::TypedColumnReader<Type> &>(reader).ReadBatch(1, &definition, &repetition, value,
	                                                                      &values) != 1)
		throw std::runtime_error("a column ends before its last row");
	return values == 1;
}

template <typename Type> void skip_values(parquet::ColumnReader &reader, uint64_t count)
{
	const auto wanted = static_cast<int64_t>(count);

	if (wanted > 0 && static_cast<parquet::TypedColumnReader<Type> &>(reader).Skip(wanted) != wanted)
		throw std::runtime_error("a column ends before its last row");
}

template <typename Type> void read_as(ek_parquet_value &value, parquet::ColumnReader &reader, uint64_t skip)
{
	typename Type::c_type read{};

	skip_values<Type>(reader, skip);
	value.is_null = !read_value<Type>(reader, &read);
	value.whole = static_cast<int64_t>(read);
	value.number = static_cast<double>(read);
}

template <typename Type> void read_number(ek_parquet_value &value, parquet::ColumnReader &reader, uint64_t skip)
{
	typename Type::c_type read{};

	skip_values<Type>(reader, skip);
	value.is_null = !read_value<Type>(reader, &read);
	value.number = static_cast<double>(read);
}

void read_bytes(ek_parquet_value &value, parquet::ColumnReader &reader, uint64_t skip)
{
	parquet::ByteArray read;

	skip_values<parquet::ByteArrayType>(reader, skip);
	value.is_null = !read_value<parquet::ByteArrayType>(reader, &read);
	value.bytes = reinterpret_cast<const char *>(read.ptr);
	value.size = value.is_null ? 0 : read.len;
}

/* Have the cursor in the row group of the row and not behind it. */
void move_cursor(ek_parquet_file &f, cursor &c, size_t column, uint64_t row)
{
	const size_t group = group_of(f, row);

	if (group >= f.ends.size())
		throw std::runtime_error("there is no such row");
	if (c.reader != nullptr && c.group == group && c.next <= row)
		return;
	c.reader = f.reader->RowGroup(static_cast<int>(group))->Column(static_cast<int>(column));
	c.group = group;
	c.next = group > 0 ? f.ends[group - 1] : 0;
}

void read_typed(ek_parquet_value &value, ek_parquet_file &f, size_t column, uint64_t row)
{
	cursor &c = f.cursors[column];

	move_cursor(f, c, column, row);
	switch (c.reader->type()) {
	case parquet::Type::BOOLEAN:
		read_as<parquet::BooleanType>(value, *c.reader, row - c.next);
		break;
	case parquet::Type::INT32:
		read_as<parquet::Int32Type>(value, *c.reader, row - c.next);
		if (f.columns[column].type == EK_PARQUET_UNSIGNED)
			value.whole = static_cast<uint32_t>(value.whole);
		break;
	case parquet::Type::INT64:
		read_as<parquet::Int64Type>(value, *c.reader, row - c.next);
		break;
	case parquet::Type::FLOAT:
		read_number<parquet::FloatType>(value, *c.reader, row - c.next);
		break;
	case parquet::Type::DOUBLE:
		read_number<parquet::DoubleType>(value, *c.reader, row - c.next);
		break;
	case parquet::Type::BYTE_ARRAY:
		read_bytes(value, *c.reader, row - c.next);
		break;
	default:
		throw std::runtime_error("a column of a type that is not read");
	}
	c.next = row + 1;
}

enum ek_parquet_result read_file(struct ek_parquet_value *value, struct ek_parquet_file *f, size_t column, uint64_t row,
                                 char *error)
{
	const enum ek_parquet_result result = guard(error, [&] {
		*value = {};
		read_typed(*value, *f, column, row);
	});

	/* Where it stands is not known. */
	if (result != EK_PARQUET_DONE)
		f->cursors[column].reader.reset();
	return result;
}

void close_file(struct ek_parquet_file *f)
{
	delete f;
}

} // namespace

const struct ek_parquet_module ek_parquet_module = { EK_PARQUET_MODULE_VERSION,
	                                             ARROW_VERSION_STRING,
	                                             open_file,
	                                             rows_of,
	                                             group_end,
	                                             columns_of,
	                                             column_of,
	                                             text_of,
	                                             read_file,
	                                             close_file };
