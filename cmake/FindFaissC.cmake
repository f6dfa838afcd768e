# FaissC::FaissC: FAISS through its C API. A system libfaiss_c is taken where there is one; else the wrappers are built
# from the distribution's source (cmake/fetch-faiss-source) over its headers and static library.
# Also OpenBLAS::OpenMP: BLAS and LAPACK on the OpenMP threads that FAISS uses, loaded by rpath whatever the default is.
find_path(FaissC_INCLUDE_DIR faiss/c_api/Clustering_c.h)
find_library(FaissC_SYSTEM_LIBRARY faiss_c)
find_library(FaissC_CXX_LIBRARY NAMES libfaiss.a faiss)
find_library(FaissC_GOMP_LIBRARY NAMES gomp libgomp.so.1)
find_library(FaissC_OPENBLAS_LIBRARY openblas PATH_SUFFIXES openblas-openmp NO_CMAKE_SYSTEM_PATH
  PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE} /usr/lib64 /usr/lib)
mark_as_advanced(FaissC_INCLUDE_DIR FaissC_SYSTEM_LIBRARY FaissC_CXX_LIBRARY FaissC_GOMP_LIBRARY
  FaissC_OPENBLAS_LIBRARY)

if(FaissC_INCLUDE_DIR AND EXISTS ${FaissC_INCLUDE_DIR}/faiss/Index.h)
  file(STRINGS ${FaissC_INCLUDE_DIR}/faiss/Index.h lines REGEX "define FAISS_VERSION_(MAJOR|MINOR|PATCH)")
  string(REGEX REPLACE "[^0-9;]" "" lines "${lines}")
  string(REPLACE ";" "." FaissC_VERSION "${lines}")
endif()
if(DEFINED ENV{XDG_CACHE_HOME})
  set(cache $ENV{XDG_CACHE_HOME})
else()
  set(cache $ENV{HOME}/.cache)
endif()
set(EVENKEEL_FAISS_C_API_SOURCE ${cache}/evenkeel/faiss-${FaissC_VERSION}/c_api CACHE PATH
  "the folder c_api of FAISS's source, where there is no system libfaiss_c")

if(FaissC_SYSTEM_LIBRARY)
  set(wanted FaissC_SYSTEM_LIBRARY)
elseif(FaissC_CXX_LIBRARY)
  set(wanted FaissC_CXX_LIBRARY)
  find_file(FaissC_SOURCE Clustering_c.cpp PATHS ${EVENKEEL_FAISS_C_API_SOURCE} NO_DEFAULT_PATH NO_CACHE)
  if(NOT FaissC_SOURCE)
    message(FATAL_ERROR "The source of FAISS's C API is not in ${EVENKEEL_FAISS_C_API_SOURCE}.\n"
      "Run ${CMAKE_CURRENT_LIST_DIR}/fetch-faiss-source, or set EVENKEEL_FAISS_C_API_SOURCE.")
  endif()
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(FaissC
  REQUIRED_VARS FaissC_INCLUDE_DIR ${wanted} FaissC_GOMP_LIBRARY FaissC_OPENBLAS_LIBRARY
  VERSION_VAR FaissC_VERSION
  REASON_FAILURE_MESSAGE "Debian and Ubuntu: apt-get install libfaiss-dev libopenblas-openmp-dev")

if(FaissC_FOUND AND NOT TARGET FaissC::FaissC)
  get_filename_component(folder ${FaissC_OPENBLAS_LIBRARY} DIRECTORY)
  add_library(OpenBLAS::OpenMP INTERFACE IMPORTED GLOBAL)
  set(options "LINKER:-rpath,${folder}")
  if(FaissC_SYSTEM_LIBRARY OR NOT FaissC_CXX_LIBRARY MATCHES "\\.a$")
    # DT_RPATH, not RUNPATH: it also holds for the BLAS and LAPACK that a shared FAISS asks for. All libraries are then
    # looked for there first, at every start.
    list(PREPEND options LINKER:--disable-new-dtags)
  endif()
  set_target_properties(OpenBLAS::OpenMP PROPERTIES
    INTERFACE_LINK_LIBRARIES "${FaissC_OPENBLAS_LIBRARY};${FaissC_GOMP_LIBRARY}" INTERFACE_LINK_OPTIONS "${options}")
  add_library(FaissC::FaissC INTERFACE IMPORTED)
  set_target_properties(FaissC::FaissC PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${FaissC_INCLUDE_DIR})
  if(FaissC_SYSTEM_LIBRARY)
    set_target_properties(FaissC::FaissC PROPERTIES
      INTERFACE_LINK_LIBRARIES "${FaissC_SYSTEM_LIBRARY};OpenBLAS::OpenMP")
    set(FaissC_ORIGIN ${FaissC_SYSTEM_LIBRARY})
  else()
    add_library(ek_faiss_c STATIC ${EVENKEEL_FAISS_C_API_SOURCE}/Clustering_c.cpp
      ${EVENKEEL_FAISS_C_API_SOURCE}/IndexFlat_c.cpp ${EVENKEEL_FAISS_C_API_SOURCE}/Index_c.cpp
      ${EVENKEEL_FAISS_C_API_SOURCE}/error_impl.cpp ${EVENKEEL_FAISS_C_API_SOURCE}/impl/AuxIndexStructures_c.cpp
      ${EVENKEEL_FAISS_C_API_SOURCE}/utils/distances_c.cpp)
    set_target_properties(ek_faiss_c PROPERTIES CXX_EXTENSIONS OFF)
    ek_brief(ek_faiss_c)
    target_include_directories(ek_faiss_c SYSTEM PRIVATE ${FaissC_INCLUDE_DIR})
    target_link_libraries(ek_faiss_c PUBLIC ${FaissC_CXX_LIBRARY} OpenBLAS::OpenMP)
    set_target_properties(FaissC::FaissC PROPERTIES INTERFACE_LINK_LIBRARIES ek_faiss_c)
    set(FaissC_ORIGIN "${FaissC_CXX_LIBRARY} ${FaissC_VERSION}, wrappers from ${EVENKEEL_FAISS_C_API_SOURCE}")
  endif()
  message(STATUS "FAISS: ${FaissC_ORIGIN}; BLAS: ${FaissC_OPENBLAS_LIBRARY}")
endif()
