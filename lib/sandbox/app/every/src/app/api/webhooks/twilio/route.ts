import { NextResponse } from 'next/server'
import twilio from 'twilio'
import { systemError } from '@/lib/answers'
import { isDeferred } from '@/lib/sms/record'
import { createAdminClient } from '@/lib/supabase'

export async function POST(request: Request) {
  const form = Object.fromEntries(new URLSearchParams(await request.text()))
  try {
    return await handle(form, request.headers.get('x-twilio-signature') ?? '')
  } catch {
    return systemError()
  }
}

async function note(form: Record<string, string>, status: string, errorMessage: string | null, messageId: string | null) {
  const { error } = await createAdminClient().from('webhook_logs').insert({
    webhook_type: 'twilio',
    status,
    error_message: errorMessage,
    params: form,
    message_sid: form.MessageSid,
    from_number: form.From,
    to_number: form.To,
    message_id: messageId,
  })
  if (error) throw error
}

async function handle(form: Record<string, string>, signature: string) {
  const supabase = createAdminClient()
  await note(form, 'received', null, null)
  const url = process.env.TWILIO_WEBHOOK_URL ?? ''
  if (!twilio.validateRequest(process.env.TWILIO_AUTH_TOKEN ?? '', signature, url, form)) {
    await note(form, 'signature_failed', 'Invalid Twilio signature', null)
    return NextResponse.json({ error: 'Unauthorized' }, { status: 401 })
  }
  const now = new Date().toISOString()
  const { data: found, error } = await supabase
    .from('messages')
    .update({
      twilio_status: form.MessageStatus,
      error_code: form.ErrorCode ?? null,
      ...(form.MessageStatus === 'delivered' && { delivered_at: now }),
      ...(form.MessageStatus === 'failed' && { failed_at: now }),
      ...(form.MessageStatus === 'sent' && { sent_at: now }),
    })
    .eq('message_sid', form.MessageSid)
    .select('id')
  if (error) throw error
  if (found.length > 0) {
    const { error: unkept } = await supabase.from('message_delivery_status').insert({
      message_id: found[0].id,
      status: form.MessageStatus,
      error_code: form.ErrorCode ?? null,
      raw_webhook_data: form,
    })
    if (unkept) throw unkept
    await note(form, 'success', null, found[0].id)
  } else if (await isDeferred(form.MessageSid)) {
    await note(form, 'success', null, null)
  } else {
    await note(form, 'error', 'Message not found', null)
  }
  return new NextResponse(null, { status: 200 })
}
