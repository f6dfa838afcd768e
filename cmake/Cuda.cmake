# GPUs by CUDA: EVENKEEL_CUDA=AUTO builds for them where nvcc is found, ON wants it, OFF leaves it out. The program
# starts without a GPU or driver all the same: the runtime is linked in, everything else is loaded when it is used.
set(EVENKEEL_CUDA AUTO CACHE STRING "GPUs by CUDA: AUTO (where nvcc is found), ON or OFF")
set_property(CACHE EVENKEEL_CUDA PROPERTY STRINGS AUTO ON OFF)
set(EK_CUDA OFF)
set(EK_CUDA_SUMMARY "off")
if(DEFINED ENV{XDG_CACHE_HOME})
  set(cache $ENV{XDG_CACHE_HOME}/evenkeel/cuda/nvidia) # what `quickstart --cuda` has brought
else()
  set(cache $ENV{HOME}/.cache/evenkeel/cuda/nvidia)
endif()
if(EVENKEEL_CUDA)
  if(DEFINED ENV{CUDACXX})
    set(EK_NVCC $ENV{CUDACXX})
  else()
    find_program(EK_NVCC nvcc PATHS ${cache}/cu13/bin NO_DEFAULT_PATH) # it is there where the machine's own is too old
    find_program(EK_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
  endif()
  if(EK_NVCC)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90) # and PTX of 9.0 for what comes after
    endif()
    if(NOT DEFINED CMAKE_CUDA_COMPILER_LAUNCHER AND DEFINED CMAKE_C_COMPILER_LAUNCHER)
      set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_C_COMPILER_LAUNCHER})
    endif()
    set(CMAKE_CUDA_COMPILER ${EK_NVCC})
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    set(EK_CUDA ON)
    list(JOIN CMAKE_CUDA_ARCHITECTURES ", " architectures)
    set(EK_CUDA_SUMMARY "${CUDAToolkit_VERSION} for sm ${architectures}")
  endif()
  if(NOT EK_CUDA AND EVENKEEL_CUDA STREQUAL "ON")
    message(FATAL_ERROR "EVENKEEL_CUDA=ON needs nvcc (CUDACXX, $CUDA_HOME/bin, /usr/local/cuda/bin): "
                        "cmake/prepare --cuda brings it")
  elseif(NOT EK_CUDA)
    set(EK_CUDA_SUMMARY "off, because nvcc was not found")
  endif()
endif()

# ek_cuda_sources(ek_nn a.c b.cu): sources of a library that know CUDA.
function(ek_cuda_sources name)
  target_sources(${name} PRIVATE ${ARGN})
  target_compile_definitions(${name} PRIVATE EK_CUDA)
  target_include_directories(${name} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(${name} PUBLIC $<LINK_ONLY:CUDA::cudart_static>)
  target_compile_options(${name} PRIVATE
    $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;-Xcompiler=-Wall,-Wextra;--expt-relaxed-constexpr>
    $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${EVENKEEL_WERROR}>>:-Werror=all-warnings>)
endfunction()
