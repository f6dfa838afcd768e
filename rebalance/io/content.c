#include "rebalance/io/content.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "rebalance/base/error.h"

static const struct kind {
	size_t at;
	const char *magic;
	size_t size;
	const char *words;
} kinds[] = {
// clang-format off
#define MAGIC(at, text, words) { at, text, sizeof text - 1, words }
	MAGIC(0, "version https://git-lfs.github.com/spec", "a Git LFS pointer, not the file itself (git lfs pull brings it)"),
	MAGIC(0, "\xff\xd8\xff", "a JPEG file"),
	MAGIC(0, "\x89PNG\r\n\x1a\n", "a PNG file"),
	MAGIC(0, "GIF8", "a GIF file"),
	MAGIC(8, "WEBP", "a WebP file"),
	MAGIC(4, "ftypavif", "an AVIF file"),
	MAGIC(4, "ftypavis", "an AVIF file"),
	MAGIC(4, "ftyphei", "a HEIC file (convert it to JPEG or AVIF)"),
	MAGIC(4, "ftyphev", "a HEIC file (convert it to JPEG or AVIF)"),
	MAGIC(4, "ftypmif1", "a HEIF file (convert it to JPEG or AVIF)"),
	MAGIC(4, "ftypmsf1", "a HEIF file (convert it to JPEG or AVIF)"),
	MAGIC(4, "ftyp", "a video (MP4 or QuickTime)"),
	MAGIC(0, "\xff\x0a", "a JPEG XL file (convert it to JPEG or PNG)"),
	MAGIC(0, "\0\0\0\x0cJXL ", "a JPEG XL file (convert it to JPEG or PNG)"),
	MAGIC(0, "\0\0\0\x0cjP  ", "a JPEG 2000 file (convert it to JPEG or PNG)"),
	MAGIC(0, "\xff\x4f\xff\x51", "a JPEG 2000 file (convert it to JPEG or PNG)"),
	MAGIC(0, "8BPS", "a Photoshop file (export it as PNG)"),
	MAGIC(0, "\0\0\1\0", "a Windows icon"),
	MAGIC(0, "\0\0\2\0", "a Windows cursor"),
	MAGIC(0, "icns", "a macOS icon"),
	MAGIC(0, "DDS ", "a DDS texture"),
	MAGIC(0, "qoif", "a QOI image (convert it to PNG)"),
	MAGIC(0, "\x76\x2f\x31\x01", "an OpenEXR image"),
	MAGIC(0, "#?RADIANCE", "a Radiance HDR image"),
	MAGIC(0, "SIMPLE  =", "a FITS image"),
	MAGIC(128, "DICM", "a DICOM image (convert it to PNG)"),
	MAGIC(0, "P4\n", "a PBM image (convert it to PNG)"),
	MAGIC(0, "P5\n", "a PGM image (convert it to PNG)"),
	MAGIC(0, "P6\n", "a PPM image (convert it to PNG)"),
	MAGIC(0, "%!PS", "a PostScript file"),
	MAGIC(0, "%PDF", "a PDF"),
	MAGIC(0, "PK\3\4", "a zip archive"),
	MAGIC(0, "PK\5\6", "an empty zip archive"),
	MAGIC(0, "\x1f\x8b", "a gzip file"),
	MAGIC(0, "BZh", "a bzip2 file"),
	MAGIC(0, "\xfd""7zXZ", "an xz file"),
	MAGIC(0, "\x28\xb5\x2f\xfd", "a zstd file"),
	MAGIC(0, "7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
	MAGIC(0, "Rar!", "a RAR archive"),
	MAGIC(257, "ustar", "a tar archive"),
	MAGIC(0, "\0\5\x16\7", "an AppleDouble file, where macOS keeps what is not the image"),
	MAGIC(0, "PAR1", "a Parquet file"),
	MAGIC(0, "ARROW1", "an Arrow file"),
	MAGIC(0, "\x93NUMPY", "a NumPy array"),
	MAGIC(0, "\x89HDF", "an HDF5 file"),
	MAGIC(0, "SQLite format 3", "an SQLite database"),
	MAGIC(0, "\x1a\x45\xdf\xa3", "a video (Matroska or WebM)"),
	MAGIC(8, "AVI ", "a video (AVI)"),
	MAGIC(8, "WAVE", "a sound (WAV)"),
	MAGIC(0, "OggS", "a sound (Ogg)"),
	MAGIC(0, "ID3", "a sound (MP3)"),
	MAGIC(0, "\x7f""ELF", "a program"),
	MAGIC(0, "MZ", "a program"),
#undef MAGIC
	// clang-format on
};

/* Text formats, behind a byte order mark and white space, in any case. */
static const struct {
	const char *start, *words;
} texts[] = { { "<!doctype html", "an HTML page (a download that failed?)" },
	      { "<html", "an HTML page (a download that failed?)" },
	      { "<head", "an HTML page (a download that failed?)" },
	      { "<svg", "an SVG drawing (render it to PNG)" },
	      { "<?xml", "an XML or SVG file" } };

static const char *text_name(const char *text, size_t size)
{
	size_t start = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;

	while (start < size && isspace((unsigned char)text[start]))
		start++;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (size - start >= strlen(texts[i].start) &&
		    strncasecmp(text + start, texts[i].start, strlen(texts[i].start)) == 0)
			return texts[i].words;
	return NULL;
}

static int is_nothing_but_zeros(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != 0)
			return 0;
	return size >= 8;
}

const char *ek_content_name(const void *bytes, size_t size)
{
	if (is_nothing_but_zeros(bytes, size))
		return "zeros (a copy that broke off?)";
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const struct kind *k = &kinds[i];

		if (size >= k->at + k->size && memcmp((const char *)bytes + k->at, k->magic, k->size) == 0)
			return k->words;
	}
	return text_name(bytes, size);
}

/* Words of a text, so that an error message that was saved as an image can be read. */
static int is_text(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!isprint((unsigned char)bytes[i]) && !isspace((unsigned char)bytes[i]))
			return 0;
	return size > 0;
}

int ek_content_describe(struct ek_buffer *out, const void *bytes, size_t size)
{
	const char *words = ek_content_name(bytes, size), *first = bytes;
	const size_t shown = size < 32 ? size : 32;
	int rc;

	if (words != NULL)
		return ek_buffer_text(out, words);
	if (size == 0)
		return ek_buffer_text(out, "an empty file");
	if (is_text(first, shown)) {
		char line[33], told[4 * sizeof line];

		memcpy(line, first, shown);
		line[shown] = 0;
		line[strcspn(line, "\r\n")] = 0;
		ek_one_line(told, sizeof told, line);
		return ek_buffer_printf(out, "text that starts with \"%s\"", told);
	}
	rc = ek_buffer_text(out, "a file of unknown kind that starts with");
	for (size_t i = 0; rc == 0 && i < size && i < 8; i++)
		rc = ek_buffer_printf(out, " %02x", ((const unsigned char *)bytes)[i]);
	return rc;
}
