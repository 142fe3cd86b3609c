import { NextResponse } from 'next/server'
import { createAdminClient } from '@/lib/supabase'

export async function GET(request: Request, { params }: { params: Promise<{ code: string }> }) {
  const { code } = await params
  const supabase = createAdminClient()
  const { data: link, error } = await supabase
    .from('short_links')
    .select('id, destination_url, click_count')
    .eq('short_code', code)
    .maybeSingle()
  if (error) return new NextResponse('Something went wrong.', { status: 500 })
  if (!link) return new NextResponse('This link does not exist.', { status: 404 })
  const { error: uncounted } = await supabase
    .from('short_links')
    .update({ click_count: (link.click_count ?? 0) + 1 })
    .eq('id', link.id)
  const { error: unlogged } = await supabase
    .from('short_link_clicks')
    .insert({ short_link_id: link.id, user_agent: request.headers.get('user-agent') ?? '' })
  if (uncounted || unlogged) return new NextResponse('Something went wrong.', { status: 500 })
  return NextResponse.redirect(link.destination_url, 307)
}
