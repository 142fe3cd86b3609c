import { NextResponse } from 'next/server'

export class Refusal extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message)
  }
}

export function refused(refusal: Refusal) {
  const body = { success: false, error: { code: refusal.code, message: refusal.message } }
  return NextResponse.json(body, { status: refusal.status })
}

export function databaseError(message: string) {
  return refused(new Refusal(500, 'DATABASE_ERROR', message))
}

export function systemError() {
  return refused(new Refusal(500, 'SYSTEM_ERROR', 'An unexpected error occurred'))
}
