# SPDX-License-Identifier: BSD-3-Clause
# vmmalloc.m4: the project's own configure macros.

# VMM_CHECK_CFLAGS(VARIABLE, FLAGS): adds to VARIABLE those that the compiler takes.
AC_DEFUN([VMM_CHECK_CFLAGS], [
vmm_saved_CFLAGS=$CFLAGS
for vmm_flag in m4_normalize([$2]); do
	AC_MSG_CHECKING([whether the C compiler takes $vmm_flag])
	CFLAGS="$vmm_saved_CFLAGS -Werror $vmm_flag"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])],
		[AC_MSG_RESULT([yes])
		$1="$$1 $vmm_flag"],
		[AC_MSG_RESULT([no])])
done
CFLAGS=$vmm_saved_CFLAGS])

# VMM_GLIBC: ends where libc is another. What is relied on besides the standard is glibc's:
# that fork(2) calls handlers with the allocator usable, that a thread's data is there before
# its first allocation, the list of FILEs and its lock.
AC_DEFUN([VMM_GLIBC], [
AC_MSG_CHECKING([for glibc])
AC_COMPILE_IFELSE([AC_LANG_PROGRAM([
#include <stdlib.h>
#if !defined __GLIBC__ || defined __UCLIBC__
#error
#endif
], [])], [AC_MSG_RESULT([yes])],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([libvmmalloc needs glibc: with musl and others fork(2) hangs])])])

# VMM_PLAIN_NAME(WHAT, NAME): ends where a name has characters in it at which make, libtool,
# the linker or LD_PRELOAD would end it, or take it for more than one.
AC_DEFUN([VMM_PLAIN_NAME], [
vmm_name="$2"
AS_CASE(["$vmm_name"], [[*[\ \	:,\#]*]],
	[AC_MSG_ERROR([$1 must not have a space, or one of : , @%:@ in its name: $vmm_name])])])

# VMM_FIND_JEMALLOC: finds the position independent archive of jemalloc that the private
# copy is made from, and sets JEMALLOC_ARCHIVE: the distribution's, one that is named,
# or one that make builds from JEMALLOC_SOURCE. JEMALLOC_VERSION is one of those that
# lib/jemalloc/jemalloc.syms has been checked for; VMM_JEMALLOC the same as a number.
AC_DEFUN([VMM_FIND_JEMALLOC], [
AC_ARG_WITH([jemalloc],
	[AS_HELP_STRING([--with-jemalloc=ARCHIVE],
		[position independent archive of jemalloc
		@<:@libjemalloc_pic.a beside the library that pkg-config finds@:>@])],
	[], [with_jemalloc=none])
AC_ARG_WITH([jemalloc-source],
	[AS_HELP_STRING([--with-jemalloc-source=DIR],
		[an unpacked release of jemalloc, to build the archive from])],
	[], [with_jemalloc_source=none])
AC_ARG_ENABLE([untested-jemalloc],
	[AS_HELP_STRING([--enable-untested-jemalloc],
		[accept a jemalloc of another version, and treat it as the newest known])],
	[], [enable_untested_jemalloc=no])
AS_CASE([$with_jemalloc], [yes|no],
	[AC_MSG_ERROR([--with-jemalloc takes the name of an archive])])
AS_CASE([$with_jemalloc_source], [yes|no],
	[AC_MSG_ERROR([--with-jemalloc-source takes the name of a directory])])
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

# VMM_FIND_JEMALLOC_VERSION(STRING, WHERE): sets JEMALLOC_VERSION by jemalloc's own string. The
# library calls and replaces functions that are jemalloc's own affair: another version may
# have others by these names.
AC_DEFUN([VMM_FIND_JEMALLOC_VERSION], [
vmm_jemalloc_string=$1
vmm_versions=`$vmm_private_jemalloc versions "$vmm_syms"`
JEMALLOC_VERSION=`$vmm_private_jemalloc version "$vmm_syms" "$vmm_jemalloc_string"`
AS_IF([test -n "$JEMALLOC_VERSION"],
	[AC_MSG_RESULT([$JEMALLOC_VERSION])],
	[test "$enable_untested_jemalloc" = yes],
	[JEMALLOC_VERSION=`echo "$vmm_versions" | sed 's/.*, //'`
	AC_MSG_RESULT([${vmm_jemalloc_string:-unknown}, not tested])
	AC_MSG_WARN([jemalloc ${vmm_jemalloc_string:-of an unknown version} was not tested;
it is treated as $JEMALLOC_VERSION, but its functions may behave differently])],
	[AC_MSG_RESULT([${vmm_jemalloc_string:-unknown}])
	AC_MSG_ERROR([$2 is jemalloc ${vmm_jemalloc_string:-of an unknown version};
libvmmalloc works with: $vmm_versions.
Name the unpacked source of one of these with --with-jemalloc-source=DIR; or
try this one, untested, with --enable-untested-jemalloc])])])

AC_DEFUN([VMM_FIND_JEMALLOC_FROM_SOURCE], [
AC_MSG_CHECKING([for the source of jemalloc])
AS_IF([test -x "$with_jemalloc_source/configure"], [],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([no $with_jemalloc_source/configure: --with-jemalloc-source
takes the directory of an unpacked release (jemalloc-VERSION.tar.bz2 of upstream's releases)])])
JEMALLOC_SOURCE=`cd "$with_jemalloc_source" && pwd`
VMM_PLAIN_NAME([a source of jemalloc], [$JEMALLOC_SOURCE])
VMM_FIND_JEMALLOC_VERSION([`cat "$JEMALLOC_SOURCE/VERSION" 2>/dev/null`],
	[$with_jemalloc_source])
# For the largest pages that kernels of the architecture have: jemalloc's may be larger
# than the system's, but not smaller.
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
		AC_MSG_ERROR([jemalloc not found by pkg-config: install
libjemalloc-dev, name an archive with --with-jemalloc=ARCHIVE, or a release's source
with --with-jemalloc-source=DIR])])])
AS_IF([test -f "$JEMALLOC_ARCHIVE" && test -r "$JEMALLOC_ARCHIVE"], [AC_MSG_RESULT([$JEMALLOC_ARCHIVE])],
	[AC_MSG_RESULT([no])
	AC_MSG_ERROR([no $JEMALLOC_ARCHIVE: name one with --with-jemalloc=ARCHIVE,
or a release's source with --with-jemalloc-source=DIR])])
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

# VMM_CHECK_LIBRARY: Check, for unit tests; without it they are skipped.
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
