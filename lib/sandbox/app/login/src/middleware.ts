import { NextRequest, NextResponse } from 'next/server'

export function middleware(request: NextRequest) {
  const login = new URL(`/auth/login?redirectedFrom=${request.nextUrl.pathname}`, request.url)
  return request.cookies.has('session') ? NextResponse.next() : NextResponse.redirect(login, 307)
}

export const config = { matcher: ['/booking-confirmation/:path*'] }
