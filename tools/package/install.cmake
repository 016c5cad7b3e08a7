# install.cmake - what goes where, as three packages: runtime (the shared library), dev, tools.
include(CMakePackageConfigHelpers)
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/bamba)

install(TARGETS bamba EXPORT bamba LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        COMPONENT runtime NAMELINK_COMPONENT dev)
install(TARGETS bamba_static EXPORT bamba_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        COMPONENT dev)
install(FILES include/bamba.h include/bamba_measure.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT dev)
foreach(set bamba bamba_static)
    install(EXPORT ${set} NAMESPACE bamba:: FILE ${set}-targets.cmake DESTINATION ${config_dir}
            COMPONENT dev)
endforeach()
list(JOIN needs " " pc_needs)
configure_package_config_file(tools/package/bamba-config.cmake.in bamba-config.cmake
        INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(bamba-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/bamba-config.cmake
        ${PROJECT_BINARY_DIR}/bamba-config-version.cmake DESTINATION ${config_dir} COMPONENT dev)

list(TRANSFORM system_libraries PREPEND -l REGEX "^[^-]" OUTPUT_VARIABLE pc_libraries)
list(JOIN pc_libraries " " pc_libraries)
file(RELATIVE_PATH pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")  # "../../", or one more
configure_file(tools/package/bamba.pc.in bamba.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/bamba.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT dev)

if(BAMBA_TOOLS)
    install(TARGETS bamba_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
    install(DIRECTORY models/fable models/fable-verse
            DESTINATION ${CMAKE_INSTALL_DATADIR}/bamba/models COMPONENT tools
            FILES_MATCHING PATTERN "*.json" PATTERN "*.safetensors" PATTERN "*.svg"
            PATTERN "README.md")
    install(DIRECTORY models/shapes DESTINATION ${CMAKE_INSTALL_DATADIR}/bamba/models
            COMPONENT tools FILES_MATCHING PATTERN "*.json")
    if(help_files)                        # made by the command
        set(folder ${PROJECT_BINARY_DIR})
        install(FILES ${folder}/bamba.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tools)
        install(FILES ${folder}/bamba.bash RENAME bamba
                DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT tools)
        install(FILES ${folder}/_bamba DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions
                COMPONENT tools)
        install(FILES ${folder}/bamba.fish
                DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT tools)
    endif()
endif()

include(tools/package/deb.cmake)
