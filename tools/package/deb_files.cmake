# deb_files.cmake - before CPack makes packages: what Debian's policy asks to add or compress.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)        # SOURCE_DATE_EPOCH, if it is set
string(TIMESTAMP year %Y UTC)
function(compress file)
    execute_process(COMMAND gzip -9nf ${file} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

foreach(component ${CPACK_COMPONENTS_ALL})
    string(TOUPPER ${component} key)
    set(name ${CPACK_DEBIAN_${key}_PACKAGE_NAME})
    set(root ${CPACK_TEMPORARY_DIRECTORY}/${component})
    set(doc ${root}/usr/share/doc/${name})
    file(MAKE_DIRECTORY ${doc})
    file(COPY_FILE ${CPACK_BAMBA_SOURCE}/CHANGELOG.md ${doc}/changelog)
    file(WRITE ${doc}/changelog.Debian "bamba (${CPACK_PACKAGE_VERSION}-1) unstable; urgency=medium

  * Version ${CPACK_PACKAGE_VERSION}.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
    file(WRITE ${doc}/copyright
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: libbamba

Files: *
Copyright: ${year} the authors of libbamba
License: Apache-2.0
 The text of this licence is in /usr/share/common-licenses/Apache-2.0.
")
    file(GLOB manuals ${root}/usr/share/man/man1/*.1)
    foreach(file ${doc}/changelog ${doc}/changelog.Debian ${manuals})
        compress(${file})
    endforeach()
    file(GLOB texts ${doc}/* ${root}/usr/share/man/man1/*)
    file(CHMOD ${texts} PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
endforeach()
