import { newCustomer, PLACEHOLDER } from '@/lib/customers'
import { insertMessage } from '@/lib/sms/messages'
import type { SentText } from '@/lib/sms/send'

/** A text needs its customer: who is new is made one when asking. */
export async function customerOfText(mobile: string) {
  return newCustomer(mobile, PLACEHOLDER, '')
}

export async function recordText(pendingId: string, customerId: string, text: SentText) {
  await insertMessage(text, customerId, 'queued')
}

export async function recordConfirmed(pending: { id: string }, customerId: string) {}

export async function isDeferred(sid: string) {
  return false
}
