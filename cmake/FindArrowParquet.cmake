# ArrowParquet::ArrowParquet: Apache Arrow's reader of Parquet files, with headers: what `quickstart --parquet` has put
# into the cache (ArrowParquet_ROOT names another place), or the system's. ArrowParquet_LIBRARIES: its files.
if(DEFINED ENV{XDG_CACHE_HOME})
  set(cache $ENV{XDG_CACHE_HOME})
else()
  set(cache $ENV{HOME}/.cache)
endif()
find_path(ArrowParquet_INCLUDE_DIR parquet/file_reader.h HINTS ${cache}/evenkeel/arrow-26.0.1/include)
find_library(ArrowParquet_PARQUET_LIBRARY NAMES libparquet.so.2600 parquet HINTS ${cache}/evenkeel/arrow-26.0.1/lib)
find_library(ArrowParquet_ARROW_LIBRARY NAMES libarrow.so.2600 arrow HINTS ${cache}/evenkeel/arrow-26.0.1/lib)
mark_as_advanced(ArrowParquet_INCLUDE_DIR ArrowParquet_PARQUET_LIBRARY ArrowParquet_ARROW_LIBRARY)

if(ArrowParquet_INCLUDE_DIR AND EXISTS ${ArrowParquet_INCLUDE_DIR}/arrow/util/config.h)
  file(STRINGS ${ArrowParquet_INCLUDE_DIR}/arrow/util/config.h line REGEX "define ARROW_VERSION_STRING")
  string(REGEX REPLACE ".*\"(.*)\".*" "\\1" ArrowParquet_VERSION "${line}")
  # Older ones cannot be told how much memory a file may ask for.
  file(STRINGS ${ArrowParquet_INCLUDE_DIR}/arrow/memory_pool.h ArrowParquet_MEMORY_CAP REGEX "class.* CappedMemoryPool")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ArrowParquet
  REQUIRED_VARS ArrowParquet_INCLUDE_DIR ArrowParquet_PARQUET_LIBRARY ArrowParquet_ARROW_LIBRARY ArrowParquet_MEMORY_CAP
  VERSION_VAR ArrowParquet_VERSION
  REASON_FAILURE_MESSAGE "./quickstart --parquet brings it")

if(ArrowParquet_FOUND AND NOT TARGET ArrowParquet::ArrowParquet)
  set(ArrowParquet_LIBRARIES ${ArrowParquet_PARQUET_LIBRARY} ${ArrowParquet_ARROW_LIBRARY})
  add_library(ArrowParquet::ArrowParquet INTERFACE IMPORTED)
  set_target_properties(ArrowParquet::ArrowParquet PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES ${ArrowParquet_INCLUDE_DIR}
    INTERFACE_LINK_LIBRARIES "${ArrowParquet_LIBRARIES}")
endif()
