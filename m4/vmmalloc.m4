# SPDX-License-Identifier: BSD-3-Clause
# vmmalloc.m4: the project's own configure macros.

# VMM_CHECK_CFLAGS(VARIABLE, FLAGS): adds to VARIABLE the flags that the compiler accepts.
AC_DEFUN([VMM_CHECK_CFLAGS], [
vmm_saved_CFLAGS=$CFLAGS
for vmm_flag in m4_normalize([$2]); do
	AC_MSG_CHECKING([whether the C compiler accepts $vmm_flag])
	CFLAGS="$vmm_saved_CFLAGS -Werror $vmm_flag"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
		[AC_MSG_RESULT([yes])
		$1="$$1 $vmm_flag"],
		[AC_MSG_RESULT([no])])
done
CFLAGS=$vmm_saved_CFLAGS])

# VMM_GLIBC: fails unless libc is glibc. The library relies on more than the standards
# require: fork handlers may allocate; a thread's thread-local data exists before its first
# allocation; the library can take the lock of the list of FILEs.
AC_DEFUN([VMM_GLIBC], [
AC_MSG_CHECKING([for glibc])
AC_COMPILE_IFELSE([AC_LANG_PROGRAM([
#include <stdlib.h>
#if !defined __GLIBC__ || defined __UCLIBC__
#error
#endif
], [])], [AC_MSG_RESULT([yes])],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([libvmmalloc needs glibc: with other libraries, such as musl, fork(2) hangs])])])

# VMM_PLAIN_NAME(WHAT, NAME): fails if a file name contains a character that make, libtool,
# the linker or LD_PRELOAD treats as the end of a name.
AC_DEFUN([VMM_PLAIN_NAME], [
vmm_name="$2"
AS_CASE(["$vmm_name"], [[*[\ \	:,\#]*]],
	[AC_MSG_ERROR([$1 must not have a space or one of : , @%:@ in its name: $vmm_name])])])

# VMM_FIND_JEMALLOC: sets JEMALLOC_ARCHIVE to the position independent archive of jemalloc
# from which make creates the private jemalloc: the distribution's, that of --with-jemalloc,
# or one that make builds from JEMALLOC_SOURCE. Sets JEMALLOC_VERSION to a version that
# lib/jemalloc/jemalloc.syms knows, and defines VMM_JEMALLOC, the same as a number.
AC_DEFUN([VMM_FIND_JEMALLOC], [
AC_ARG_WITH([jemalloc],
	[AS_HELP_STRING([--with-jemalloc=ARCHIVE],
		[position independent archive of jemalloc
		@<:@libjemalloc_pic.a beside the library that pkg-config finds@:>@])],
	[], [with_jemalloc=none])
AC_ARG_WITH([jemalloc-source],
	[AS_HELP_STRING([--with-jemalloc-source=DIR],
		[directory of an unpacked release of jemalloc, from which make builds the archive])],
	[], [with_jemalloc_source=none])
AC_ARG_ENABLE([untested-jemalloc],
	[AS_HELP_STRING([--enable-untested-jemalloc],
		[accept an unknown version of jemalloc, and treat it as the newest known one])],
	[], [enable_untested_jemalloc=no])
AS_CASE([$with_jemalloc], [yes|no],
	[AC_MSG_ERROR([--with-jemalloc requires the name of an archive])])
AS_CASE([$with_jemalloc_source], [yes|no],
	[AC_MSG_ERROR([--with-jemalloc-source requires the name of a directory])])
AS_IF([test "$with_jemalloc" != none && test "$with_jemalloc_source" != none],
	[AC_MSG_ERROR([--with-jemalloc and --with-jemalloc-source exclude each other])])
AS_IF([test -z "$with_jemalloc" || test -z "$with_jemalloc_source"],
	[AC_MSG_ERROR([--with-jemalloc or --with-jemalloc-source has an empty value])])
vmm_private_jemalloc="env NM=$NM_TOOL sh $srcdir/lib/jemalloc/private-jemalloc.sh"
vmm_syms=$srcdir/lib/jemalloc/jemalloc.syms
AS_IF([test "$with_jemalloc_source" != none], [VMM_FIND_JEMALLOC_FROM_SOURCE],
	[VMM_FIND_JEMALLOC_FROM_ARCHIVE])
AM_CONDITIONAL([JEMALLOC_FROM_SOURCE], [test "$with_jemalloc_source" != none])
AC_SUBST([JEMALLOC_SOURCE])
AC_SUBST([JEMALLOC_ARCHIVE])
AC_SUBST([JEMALLOC_VERSION])
vmm_jemalloc_number=`echo "$JEMALLOC_VERSION" |
	awk -F. '{ print @S|@1 * 10000 + @S|@2 * 100 + @S|@3 }'`
AC_DEFINE_UNQUOTED([VMM_JEMALLOC], [$vmm_jemalloc_number],
	[jemalloc's version: 50301 is 5.3.1])])

# VMM_FIND_JEMALLOC_VERSION(STRING, WHERE): sets JEMALLOC_VERSION from STRING, the version
# string of the jemalloc in WHERE. An unknown version is an error, or with
# --enable-untested-jemalloc counts as the newest known one. The library calls and replaces
# internal functions of jemalloc, which may differ in another version.
AC_DEFUN([VMM_FIND_JEMALLOC_VERSION], [
vmm_jemalloc_string=$1
vmm_versions=`$vmm_private_jemalloc versions "$vmm_syms"`
JEMALLOC_VERSION=`$vmm_private_jemalloc version "$vmm_syms" "$vmm_jemalloc_string"`
AS_IF([test -n "$JEMALLOC_VERSION"],
	[AC_MSG_RESULT([$JEMALLOC_VERSION])],
	[test "$enable_untested_jemalloc" = yes],
	[JEMALLOC_VERSION=`echo "$vmm_versions" | sed 's/.*, //'`
	AC_MSG_RESULT([${vmm_jemalloc_string:-unknown}, not tested])
	AC_MSG_WARN([jemalloc ${vmm_jemalloc_string:-of an unknown version} was not tested.
It is treated as $JEMALLOC_VERSION, but its functions may behave differently])],
	[AC_MSG_RESULT([${vmm_jemalloc_string:-unknown}])
	AC_MSG_ERROR([$2 is jemalloc ${vmm_jemalloc_string:-of an unknown version};
libvmmalloc works with: $vmm_versions.
Give the unpacked source of one of these with --with-jemalloc-source=DIR, or
try the untested version with --enable-untested-jemalloc])])])

AC_DEFUN([VMM_FIND_JEMALLOC_FROM_SOURCE], [
AC_MSG_CHECKING([for the source of jemalloc])
AS_IF([test -x "$with_jemalloc_source/configure"], [],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([no $with_jemalloc_source/configure: --with-jemalloc-source
requires the directory of an unpacked release (upstream's jemalloc-VERSION.tar.bz2)])])
JEMALLOC_SOURCE=`cd "$with_jemalloc_source" && pwd`
VMM_PLAIN_NAME([a source of jemalloc], [$JEMALLOC_SOURCE])
VMM_FIND_JEMALLOC_VERSION([`cat "$JEMALLOC_SOURCE/VERSION" 2>/dev/null`],
	[$with_jemalloc_source])
# The largest page size of the architecture: jemalloc's pages may be larger than those of
# the system, but not smaller.
AS_CASE([$host_cpu],
	[aarch64*|loongarch*|mips*|powerpc*], [JEMALLOC_PAGE=--with-lg-page=16],
	[sparc*], [JEMALLOC_PAGE=--with-lg-page=13])
AC_SUBST([JEMALLOC_PAGE])
JEMALLOC_ARCHIVE=jemalloc/lib/libjemalloc_pic.a])

AC_DEFUN([VMM_FIND_JEMALLOC_FROM_ARCHIVE], [
AC_MSG_CHECKING([for jemalloc's position independent archive])
AS_IF([test "$with_jemalloc" != none], [JEMALLOC_ARCHIVE=$with_jemalloc],
	[PKG_CHECK_EXISTS([jemalloc],
		[JEMALLOC_ARCHIVE=`$PKG_CONFIG --variable=libdir jemalloc`/libjemalloc_pic.a],
		[AC_MSG_RESULT([no])
		AC_MSG_ERROR([pkg-config does not find jemalloc: install
libjemalloc-dev, give an archive with --with-jemalloc=ARCHIVE, or the source of a release
with --with-jemalloc-source=DIR])])])
AS_IF([test -f "$JEMALLOC_ARCHIVE" && test -r "$JEMALLOC_ARCHIVE"], [AC_MSG_RESULT([$JEMALLOC_ARCHIVE])],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([no $JEMALLOC_ARCHIVE: give an archive with
--with-jemalloc=ARCHIVE, or the source of a release with --with-jemalloc-source=DIR])])
AS_CASE([$JEMALLOC_ARCHIVE], [[/*]], [],
	[JEMALLOC_ARCHIVE=`pwd`/$JEMALLOC_ARCHIVE])
VMM_PLAIN_NAME([an archive of jemalloc], [$JEMALLOC_ARCHIVE])
AC_MSG_CHECKING([for its version])
VMM_FIND_JEMALLOC_VERSION([`$vmm_private_jemalloc string "$JEMALLOC_ARCHIVE"`],
	[$JEMALLOC_ARCHIVE])
AC_MSG_CHECKING([whether it has the names of lib/jemalloc/jemalloc.syms])
AS_IF([vmm_missing=`$vmm_private_jemalloc check "$vmm_syms" "$JEMALLOC_ARCHIVE" \
		"$JEMALLOC_VERSION" 2>&1`],
	[AC_MSG_RESULT([yes])],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([$vmm_missing])])])

# VMM_CHECK_LIBRARY: looks for Check. Without it the unit tests are skipped.
AC_DEFUN([VMM_CHECK_LIBRARY], [
AC_MSG_CHECKING([for Check, for unit tests])
PKG_CHECK_EXISTS([check >= 0.15],
	[vmm_check=`$PKG_CONFIG --modversion check`
	CHECK_CFLAGS=`$PKG_CONFIG --cflags check`
	CHECK_LIBS=`$PKG_CONFIG --libs check`],
	[vmm_check="no (not built: install Check)"])
AC_MSG_RESULT([$vmm_check])
AC_SUBST([CHECK_CFLAGS])
AC_SUBST([CHECK_LIBS])
AM_CONDITIONAL([HAVE_CHECK], [test -n "$CHECK_LIBS"])])
