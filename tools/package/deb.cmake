# deb.cmake - Debian packages of the components runtime, dev and tools, by `cpack`. Configure with
# -DCMAKE_INSTALL_PREFIX=/usr, which places libraries where Debian has them; DEBFULLNAME and
# DEBEMAIL say who made the packages.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "libbamba maintainers <maintainers@users.noreply.github.com>")
if(DEFINED ENV{DEBEMAIL})
    set(CPACK_PACKAGE_CONTACT "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL runtime dev tools)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ
    GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/tools/package/deb_files.cmake)
set(CPACK_BAMBA_SOURCE ${PROJECT_SOURCE_DIR})

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(runtime libbamba${PROJECT_VERSION_MAJOR})
file(WRITE ${PROJECT_BINARY_DIR}/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/triggers)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS libopenblas0)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SUGGESTS libopenblas0)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "${runtime} (= ${PROJECT_VERSION}-1), libpcre2-dev, \
libutf8proc-dev, libxxhash-dev")

function(describe component name section summary)
    string(TOUPPER ${component} key)
    set(CPACK_DEBIAN_${key}_PACKAGE_NAME ${name} PARENT_SCOPE)
    set(CPACK_DEBIAN_${key}_PACKAGE_SECTION ${section} PARENT_SCOPE)
    set(CPACK_COMPONENT_${key}_DESCRIPTION "inference for hybrid Mamba-2 models - ${summary}
libbamba loads a Bamba, Mamba-2, Llama or Mistral model as it is published,
without Python and without a conversion, and runs it on the processor." PARENT_SCOPE)
endfunction()
describe(runtime ${runtime} libs "shared library")
describe(dev libbamba-dev libdevel "development files")
describe(tools bamba-tools utils "command")
include(CPack)
